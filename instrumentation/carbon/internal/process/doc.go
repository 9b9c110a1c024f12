// Package process tells what the process that it runs in draws.
//
// The energy is that of the machine, by the first that works:
//
//  1. the counters of the CPU that this process may read (perf, rapl), of which it
//     takes the share that its CPU time has of the busy time of all CPUs. What the
//     machine draws idle is nobody's, as in the receiver, unless Config.Idle says
//     otherwise. So the shares of all processes of a machine never add up to more than
//     the machine;
//  2. CPU time times the watts per CPU of the model, between idle and full use.
//
// Memory is divided alike: what it draws to be used by CPU time, what it draws to hold
// by the bytes that the process holds alone. A counter that becomes readable later takes over from the model
// and nothing is counted twice; one that fails is waited for, and what it counted
// meanwhile comes when it returns (package ledger). Each amount says how it is known.
//
// Where nobody tells how busy the machine is (no /proc/stat, or one that is made for a
// container only: LXC, gVisor; macOS and Windows) no share of a counter is known.
// Then the model is taken, and all CPUs are taken to be fully busy: a CPU-second costs
// what it costs then, so again the processes add up to no more than the machine.
//
// Other processes are counted only if Config.Children is set: by CPU time when they end as
// children of this one, and on GPUs while they run as such. Who forks workers that measure
// themselves leaves it off.
//
// A Source never blocks for long and starts no goroutine, but for Config.Extra.
// The kernel counts busy time in steps of 10 ms: in a window of 100 ms a process that
// does little would get all where no other happened to reach a step. And the kernel
// takes the longer to tell it the more CPUs and interrupts there are. So the machine is
// looked at once in a second (at first more often), and what Read tells in between goes
// on from there by the process's own CPU time, at the rate of the window before. What
// that was ahead is made up for in the seconds after; no amount ever falls.
package process
