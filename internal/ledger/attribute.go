package ledger

import (
	"math/bits"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// Use is what was used, and by whom, since the last Attribute.
type Use struct {
	Usages []usage.Usage
	// Busy is the busy time of the machine's CPUs. Without it nobody knows how much
	// of the work the workloads did, so dynamic energy of CPUs is unattributed.
	Busy usage.Busy
	GPUs []GPUUse
	// Now is when it was read, with the monotonic clock: workloads end by it, also while
	// no sensor gives anything. Zero: the time of the newest reading.
	Now time.Time
	// Floor tells the idle power of a part, 0 if unknown; nil: none is known.
	Floor func(*sensor.Part) unit.Microwatts
}

// attribution divides the energy of the parts among workloads.
type attribution struct {
	begun bool
	at    time.Time // of the newest tick
	since time.Time // of the one before: what began in between began then
	now   time.Time // of this call

	slots   []slot
	free    []int
	index   map[slotKey]int
	classes []class
	ended   int // slots in use whose workload has ended
	policy  IdlePolicy

	sockets []socket // of this tick
	whole   socket   // all of them together
	busy    bool     // the busy time is known
	memory  uint64   // bytes of the machine
	request uint64   // thousandths of a CPU that it has

	active []int // slots with CPU time in this tick
	parts  []unit.Microjoules
	weigh  []uint64
	slotOf []int
}

// stake is what a part's energy waits for: the weights of the time since it was
// last divided. A part of which nothing came does not end its window: a counter
// that moves in steps tells later what was drawn now.
type stake struct {
	seen unit.Microjoules // of the account, what has been divided
	at   time.Time        // until when
	late []uint64         // by slot: CPU time in ns of the ticks before this one; empty: none
	gpu  *gpuStake
}

// Attribute divides what has been booked since it was last called among those who
// used the machine in that time: every microjoule of every part, whatever is known
// of its use. Call it once after each Book. The first call takes note of who is
// there; what was booked before is unattributed.
func (l *Ledger) Attribute(u Use) {
	a := &l.attribution
	if a.index == nil {
		a.init()
	}
	now := l.host.at
	if !now.After(a.at) {
		now = a.at
	}
	if a.since = a.at; a.since.IsZero() {
		a.since = l.host.start
	}
	a.at = now
	if a.now = u.Now; a.now.IsZero() {
		a.now = a.at
	}
	a.take(u)
	a.weighSockets(u.Busy)
	for _, p := range l.order {
		if p.Role == sensor.Primary && !p.start.IsZero() {
			l.divide(p, &u)
		}
	}
	for _, n := range a.active {
		a.slots[n].cpu = 0
	}
	if a.begun = true; a.ended > 0 {
		l.release()
	}
}

// Settle divides what waits for samples of GPUs that have not come, so that the
// workloads add up to the parts. Call it before Workloads.
func (l *Ledger) Settle() {
	for _, p := range l.order {
		if g := p.stake.gpu; g != nil && g.pending > 0 {
			l.attribution.settleGPU(g, l.attribution.classOf(p))
		}
	}
}

// divide divides what a part has got since it was last divided.
func (l *Ledger) divide(p *part, u *Use) {
	a, s := &l.attribution, &p.stake
	if s.at.IsZero() {
		s.at = p.start
	}
	class := a.classOf(p)
	kind := kindOf(p.Part)
	if kind == gpuPart {
		a.gather(s, p, u.GPUs)
	}
	e := p.energy - s.seen
	if e == 0 && l.begins(p) {
		return
	}
	if !a.begun {
		a.credit(unattributedSlot, class, e)
		s.seen, s.at = p.energy, p.at
		return
	}
	if e == 0 {
		if kind == cpuPart || kind == memoryPart {
			a.postpone(s, a.socketOf(p.Part))
		}
		return
	}
	idle := unit.Microjoules(0)
	if u.Floor != nil {
		idle = min(e, u.Floor(p.Part).Over(p.at.Sub(s.at)))
	}
	switch kind {
	case cpuPart:
		a.divideCPU(s, a.socketOf(p.Part), class, idle, e-idle)
	case memoryPart:
		a.divideMemory(s, a.socketOf(p.Part), class, idle, e-idle)
	case gpuPart:
		a.divideGPU(s.gpu, class, idle, e-idle)
	case otherPart:
		a.credit(unattributedSlot, class, e)
	}
	s.seen, s.at = p.energy, p.at
	clear(s.late)
	s.late = s.late[:0]
}

// begins reports whether the time that a part's next energy is of begins only now, and
// forgets who used it before: its baseline was read, or another sensor that is counted in
// its place has told all until now.
func (l *Ledger) begins(p *part) bool {
	s := &p.stake
	switch {
	case p.standsBy():
		counted := p.view.group.counted
		if counted == nil || counted.lastAdvanced() != l.tick {
			return false
		}
		s.at = counted.last()
	case p.advanced == l.tick && p.delta.To.IsZero():
		s.at = p.last
	default:
		return false
	}
	clear(s.late)
	s.late = s.late[:0]
	if s.gpu != nil {
		s.gpu.now = s.gpu.now[:0]
	}
	return true
}

// partKind says by what use a part is divided.
type partKind uint8

const (
	otherPart partKind = iota // fans, disks, losses: nobody knows whose
	cpuPart
	memoryPart
	gpuPart
)

func kindOf(p *sensor.Part) partKind {
	switch p.Type {
	case "cpu":
		return cpuPart
	case "memory":
		return memoryPart
	case "gpu":
		return gpuPart
	}
	if slices.Contains(p.Covers, "cpu") { // a rail of the whole board
		return cpuPart
	}
	return otherPart
}

// take enters what the workloads used in this tick.
func (a *attribution) take(u Use) {
	a.active = a.active[:0]
	for i := range u.Usages {
		x := &u.Usages[i]
		key := slotKey{x.Of, shareOf(x.Share)}
		if x.Ended && x.CPU <= 0 && x.Of != nil {
			if _, known := a.index[key]; !known { // it has done nothing ever
				a.end(x.Of)
				continue
			}
		}
		n := a.slot(key)
		s := &a.slots[n]
		s.socket, s.memory, s.request = x.Socket, x.Memory, x.Request
		if a.begun && x.CPU > 0 {
			if s.cpu == 0 {
				a.active = append(a.active, n)
			}
			s.cpu += uint64(x.CPU)
		}
		if x.Ended && x.Of != nil {
			a.end(x.Of)
		}
	}
}

// give divides e by a.weigh among the slots a.slotOf, and returns what nobody got
// because all weights are 0.
func (a *attribution) give(class int, e unit.Microjoules) unit.Microjoules {
	if cap(a.parts) < len(a.weigh) {
		a.parts = make([]unit.Microjoules, len(a.weigh)+len(a.weigh)/4)
	}
	into := a.parts[:len(a.weigh)]
	rest := energy.Split(into, e, a.weigh)
	for i, x := range into {
		if x > 0 {
			a.credit(a.slotOf[i], class, x)
		}
	}
	return rest
}

// list begins a new list of weights.
func (a *attribution) list() { a.weigh, a.slotOf = a.weigh[:0], a.slotOf[:0] }

func (a *attribution) add(slot int, weight uint64) {
	if weight > 0 {
		a.weigh, a.slotOf = append(a.weigh, weight), append(a.slotOf, slot)
	}
}

// portion returns x · part ÷ whole, rounded down; part is not more than whole.
func portion(x, part, whole uint64) uint64 {
	if whole == 0 {
		return 0
	}
	hi, lo := bits.Mul64(x, part)
	q, _ := bits.Div64(hi, lo, whole)
	return q
}
