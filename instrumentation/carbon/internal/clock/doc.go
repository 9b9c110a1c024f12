// Package clock shares the energy of a process among the tasks that run in it, by
// a virtual clock that runs on energy instead of time.
//
// # Who gets what
//
// Tasks form trees. A [Node] is a leaf while it is started, not ended and has no
// active child. What the process draws at a moment is divided evenly among the
// leaves of that moment; with no leaf it is unattributed. A node owns what it got as a leaf,
// its children's not included, so that the nodes of a trace can be added up. A
// child may outlive its parent: it goes on by itself.
//
// Work that is no node is invisible: its energy goes to the leaves of the
// moment, or to nobody. So it matters that what runs at the same time is known here
// too, sampled or not.
//
// # When it is known
//
// Energy comes at ticks, by [Clock.Book], for the time since the one before, and
// is taken as drawn evenly over that time. A node that is still there when the
// tick comes gets its share of what was really drawn, also for the part of the
// tick in which it was not yet there or not a leaf: that part is left out exactly.
// A node that ends before the tick is answered at once, with the power of the last
// ticks in which there were leaves most of the time (each weighs half as much as its
// successor). The tick then divides what
// is left, drawn minus given away, among the nodes still there and the time
// without a leaf, in proportion to their time; if there is neither, it is unattributed.
//
// If more was given away than was drawn, nobody loses what he has. The
// difference is paid out of the next ticks, and until it is paid the estimate is lower
// by what that takes.
//
// Before the first tick, after [Clock.Miss] or [Clock.Lose], and from 2 s after
// the last tick on there is no estimate: a node that ends then gets nothing for that
// time and says so ([Partial]). With Miss, or where a tick is only late, the next
// Book covers all the time since the last one, and nodes that are still there then miss nothing.
//
// # What always holds
//
// For the [Totals] at every moment, to the rounding of float64:
//
//	Nodes + Unattributed = Booked + Ahead
//
// where Nodes is the sum over all nodes, ended or not, and Ahead what they have
// before it was booked, both without that by which some are ahead in the open tick because
// of a late caller (below). No term is ever negative, nor is the energy of a node.
// Shares of time are integers, so that no node receives the rounding of others.
//
// # Several at the same time
//
// A trace is a [Domain]: where a child begins or ends and its parent waits or goes on in its
// place, nobody else has more or less than before, and only the lock of the domain is taken.
// Who begins or ends beside others takes the one mutex too, with the time that he read a
// moment ago. A domain that has read the shared time meanwhile may then be ahead by the time
// that he was late, as if there had still been fewer leaves. What it handed on stays
// as it is; the sum of times grows by as much, so that energy is divided by what everybody
// has. If the tick ends while a leaf is ahead, the leaf is taken to have the less of it; if
// that is less than nothing, it has nothing and the next ticks pay: at most what the tick
// had left to divide.
//
// # How far off a node can be
//
// Taking power as even inside a tick misplaces energy only at the edges of a
// node: the ticks in which it started, ended, or stopped and began to be a leaf.
// At an edge that was still settled by a tick the error is below the energy of that tick
// times the node's share of the leaves, and |P'|·Δt²/2 where power changes steadily by P' W/s.
// At its end the error is that of the estimate: [Energy] says how much of its
// joules that is. A node pays also for what others were given too much in the
// same tick: at most the estimate's error of one tick, over all nodes together.
// So nodes that are long compared with a tick are right to about two ticks' energy,
// and short ones are right on average.
package clock
