package nvidiasmi

import "time"

// backoff says how long to wait before the next process: twice as long as before
// the last one, until one lives long enough to have been good.
type backoff struct {
	first, longest time.Duration
	wait           time.Duration
}

// next returns the wait after a process that lived for so long.
func (b *backoff) next(lived time.Duration) time.Duration {
	if b.wait == 0 || lived >= b.longest {
		b.wait = b.first
	} else {
		b.wait = min(2*b.wait, b.longest)
	}
	return b.wait
}
