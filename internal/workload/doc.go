// Package workload says who used the CPUs and who holds the memory of a Linux
// machine: containers, pods, services, virtual machines, jobs and, if asked for,
// single processes.
//
// Everything is read from the cgroup file system and from /proc. No API server, no
// runtime socket, no executable, command line or environment of a process is
// opened. The only other file is etc/passwd below the root, and only if the owners
// of processes are asked for.
//
// # What is counted
//
// The counter of a cgroup (usage_usec of cpu.stat, cpuacct.usage of version 1) is
// exact, includes its sub-groups and includes processes that have ended. A Reader
// goes down the tree from the groups at the top and gives each group what its parent
// was given: the sum of all Usage.CPU of one Read is the increase of the groups at
// the top, to the nanosecond. What nobody is known for is Exited.
//
// Tasks in the root of the hierarchy (kernel threads above all) are told only where
// processes are. Version 2 has no exact counter for them: its cpu.stat of the root is
// /proc/stat, stolen time included. They have the ticks that their processes show.
//
// # What it costs
//
// A Reader looks below a group only if its counter has moved, and at the processes
// of a group only if they have run lately, or if they do not explain what the group
// has used. Files stay open between reads as far as the limit of open files allows.
package workload
