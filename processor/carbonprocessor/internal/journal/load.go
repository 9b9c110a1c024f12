package journal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

const (
	aside     = "corrupt/"
	asideMost = 16 << 20 // bytes copied by one Open
	window    = 64       // records read at once
)

// A loader puts together what Open returns.
type loader struct {
	client  storage.Client
	now     time.Time
	state   State
	known   map[Label]*Label
	next    Stream
	copied  int
	trouble []error
}

// Open reads what is stored. The client is the journal's alone, is closed by the
// caller after the last call, and does not keep the values that it is given to
// write: buffers are used again. An error means that the client failed. What was
// damaged is no error, but [State.Trouble], and was repaired.
//
// Streams are all that were in memory at the last Compact or were committed since:
// the caller leaves out those that are too old, or too many.
func Open(ctx context.Context, client storage.Client, now time.Time) (*Journal, *State, error) {
	l := &loader{client: client, now: now, known: make(map[Label]*Label)}
	l.state.Streams = make(map[ID]*Stream)
	j := &Journal{client: client, lock: make(chan struct{}, 1), free: make(chan *Batch, maxFree)}
	if err := l.load(ctx, j); err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	l.state.Trouble = errors.Join(l.trouble...)
	st := &l.state
	if j.head.first == 0 || st.Trouble != nil {
		j.next = max(j.next, 1)
		if err := j.Compact(ctx, maps.Values(st.Streams), func() Meta { return st.Meta }); err != nil {
			return nil, nil, fmt.Errorf("journal: %w", err)
		}
	} else if err := j.collect(ctx); err != nil {
		return nil, nil, fmt.Errorf("journal: removal of what is left of a snapshot: %w", err)
	}
	return j, st, nil
}

func (l *loader) load(ctx context.Context, j *Journal) error {
	v, err := l.client.Get(ctx, headKey)
	if err != nil {
		return fmt.Errorf("reading of %s: %w", headKey, err)
	}
	var h head
	if v != nil {
		var broken error
		if h, l.state.Extra, broken = decodeHead(v); broken != nil {
			if err := l.setAside(ctx, headKey, v, broken); err != nil {
				return err
			}
			h, l.state.Extra = head{}, nil
		}
	}
	if h.first == 0 {
		if err := l.clear(ctx); err != nil {
			return err
		}
		h = head{epoch: random(), seed: random()}
		l.state.Seed, l.state.Born = h.seed, l.now.UnixNano()
		j.head = h
		return nil
	}
	l.state.Seed, l.state.Born = h.seed, h.born
	j.head, j.generation, j.next = h, h.generation, h.first
	j.failures.Store(h.failures)
	if err := l.chunks(ctx, j); err != nil {
		return err
	}
	if err := l.records(ctx, j); err != nil {
		return err
	}
	j.born = l.state.Born
	j.lock <- struct{}{}
	j.release() // it may be due
	return l.leftovers(ctx, j)
}

// chunks reads the snapshot.
func (l *loader) chunks(ctx context.Context, j *Journal) error {
	for i := range j.head.chunks {
		v, key, err := l.get(ctx, j.chunkKey(j.head.generation, i))
		if err != nil {
			return err
		}
		d, broken := l.open(key, v)
		if broken == nil {
			_, _ = d.u64(), d.i64()
			l.streams(&d)
			_ = d.extra()
			broken = d.end()
		}
		if broken != nil {
			l.unknown()
			if err := l.setAside(ctx, key, v, broken); err != nil {
				return err
			}
		}
	}
	return nil
}

// records reads on to the last one that exists. It looks ahead, since one that is
// missing before others was lost.
func (l *loader) records(ctx context.Context, j *Journal) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		ops := make([]*storage.Operation, window)
		for i := range ops {
			ops[i] = storage.GetOperation(j.recordKey(j.next + uint64(i)))
		}
		if err := l.client.Batch(ctx, ops...); err != nil {
			return fmt.Errorf("reading of records from %s on: %w", ops[0].Key, err)
		}
		last := len(ops)
		for last > 0 && ops[last-1].Value == nil {
			last--
		}
		for _, op := range ops[:last] {
			if err := l.record(ctx, j, op.Key, op.Value); err != nil {
				return err
			}
			j.wal += int64(len(op.Value))
		}
		j.next += uint64(last) //nolint:gosec // an index
		if last < len(ops) {
			return nil
		}
	}
}

// record applies one record. If it is damaged, whatever was read before may be out
// of date.
func (l *loader) record(ctx context.Context, j *Journal, key string, v []byte) error {
	d, broken := l.open(key, v)
	if broken == nil {
		failures, born := d.u64(), d.i64()
		if failures != j.failures.Load() {
			j.failures.Store(failures)
			l.forget()
			l.report(fmt.Errorf("a commit before %s failed", key))
		}
		l.streams(&d)
		extra := d.extra()
		if broken = d.end(); broken == nil {
			l.state.Born = max(l.state.Born, born)
			if extra != nil {
				l.state.Extra = extra
			}
			return nil
		}
	}
	l.forget()
	return l.setAside(ctx, key, v, broken)
}

// streams reads the streams of one value. Later ones replace earlier ones, unless they are
// older: several pipelines may see one stream, each at its own pace, and what the fastest
// has handed on must not be counted again.
func (l *loader) streams(d *decoder) {
	d.known = l.known
	for d.bool() {
		id := d.id()
		if d.stream(&l.next); d.bad {
			delete(l.state.Streams, id)
			return
		}
		l.next.ID = id
		s := l.state.Streams[id]
		switch {
		case s == nil:
			s = new(Stream)
			l.state.Streams[id] = s
		case l.next.Last < s.Last:
			continue
		}
		*s, l.next = l.next, *s // the memory of the old one is used again
	}
}

// unknown keeps streams that are not known from being taken for new ones.
func (l *loader) unknown() { l.state.Born = max(l.state.Born, l.now.UnixNano()) }

func (l *loader) forget() {
	l.unknown()
	clear(l.state.Streams)
}

// leftovers finds what an interrupted Compact should have deleted.
func (l *loader) leftovers(ctx context.Context, j *Journal) error {
	var records []string
	for seq := j.head.first - 1; seq > 0; seq-- {
		v, key, err := l.get(ctx, j.recordKey(seq))
		if err != nil {
			return err
		}
		if v == nil {
			break
		}
		records = append(records, key)
	}
	slices.Reverse(records)
	j.garbage = records

	drop := func(generation uint64) (found bool, err error) {
		n := uint64(0)
		for ; ; n++ {
			v, _, err := l.get(ctx, j.chunkKey(generation, n))
			if err != nil {
				return false, err
			}
			if v == nil {
				break
			}
		}
		j.dropChunks(generation, n)
		return n > 0, nil
	}
	const attempts = 100 // that failed, between two heads
	for g := max(j.head.previous, j.head.generation-min(attempts, j.head.generation)); g < j.head.generation; g++ {
		if _, err := drop(g); err != nil {
			return err
		}
	}
	for found := true; found; {
		var err error
		if found, err = drop(j.generation + 1); err != nil {
			return err
		}
		if found {
			j.generation++
		}
	}
	return nil
}

// clear sets aside whatever a head that is gone would have made sense of, as far as
// the client can list it. The rest stays where nothing looks for it.
func (l *loader) clear(ctx context.Context) error {
	walker, ok := l.client.(storage.Walker)
	if !ok {
		return nil
	}
	n := 0
	err := walker.Walk(ctx, func(key string, v []byte) ([]*storage.Operation, error) {
		if key == headKey || strings.HasPrefix(key, aside) {
			return nil, nil
		}
		n++
		ops := []*storage.Operation{storage.DeleteOperation(key)}
		if l.fits(v) {
			ops = append(ops, storage.SetOperation(l.asideKey(key), bytes.Clone(v)))
		}
		return ops, nil
	})
	if err != nil {
		return fmt.Errorf("setting aside of what is stored: %w", err)
	}
	if n > 0 {
		l.report(fmt.Errorf("no valid %s for %d values, which are now below %s", headKey, n, l.asideKey("")))
	}
	return nil
}

func (l *loader) get(ctx context.Context, key string) ([]byte, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, key, err
	}
	v, err := l.client.Get(ctx, key)
	if err != nil {
		return nil, key, fmt.Errorf("reading of %s: %w", key, err)
	}
	return v, key, nil
}

func (l *loader) open(key string, v []byte) (decoder, error) {
	if v == nil {
		return decoder{}, errors.New("it is missing")
	}
	return open(key, v)
}

// setAside reports that the value is broken, and keeps a copy.
func (l *loader) setAside(ctx context.Context, key string, v []byte, why error) error {
	switch {
	case v == nil:
		l.report(fmt.Errorf("%s: %w", key, why))
		return nil
	case !l.fits(v):
		l.report(fmt.Errorf("%s: %w, too large to be set aside", key, why))
		return nil
	}
	if err := l.client.Set(ctx, l.asideKey(key), v); err != nil {
		return fmt.Errorf("setting aside of %s: %w", key, err)
	}
	l.report(fmt.Errorf("%s: %w, set aside as %s", key, why, l.asideKey(key)))
	return nil
}

func (l *loader) fits(v []byte) bool {
	if l.copied+len(v) > asideMost {
		return false
	}
	l.copied += len(v)
	return true
}

func (l *loader) asideKey(key string) string {
	return fmt.Sprintf("%s%d/%s", aside, l.now.Unix(), key)
}

// report keeps the first few: if much is broken, it is all for one reason.
func (l *loader) report(err error) {
	switch len(l.trouble) {
	case 10:
		l.trouble = append(l.trouble, errors.New("and more"))
	case 11:
	default:
		l.trouble = append(l.trouble, err)
	}
}

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
