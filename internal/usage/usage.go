// Package usage has the words in which it is told who used a machine: package
// workload says it, package ledger divides energy by it. It holds no code and knows
// neither files nor processes.
package usage

import (
	"time"
)

// Kind is what a workload is.
type Kind uint8

const (
	Process   Kind = iota + 1
	Container      // of docker, containerd, CRI-O, podman, LXC
	Pod            // of Kubernetes: what no container of it did
	Service        // a unit of systemd: service, or scope of a session
	Machine        // a virtual machine or container that systemd-machined or libvirt runs
	Job            // of Slurm: what no step of it did
	Step           // of a Slurm job
	Group          // another cgroup that holds processes
)

// String returns "process", "container", "pod", "service", "machine", "job",
// "step" or "group".
func (k Kind) String() string {
	return [...]string{"", "process", "container", "pod", "service", "machine", "job", "step", "group"}[k]
}

// Workload is something that uses the machine. It does not change after the
// reader has returned it for the first time, and is known by its pointer: a
// container or process that is started anew is another Workload, also under the
// same name, path or PID.
type Workload struct {
	// ID orders workloads: the path of the cgroup, for a process followed by its PID
	// and start time. Unique among those that live.
	ID   string
	Kind Kind
	// Parent is the workload that this one lies in: the container of a process, the
	// pod of a container, the job of a step; nil where there is none. A nested
	// container (kind, docker in docker) lies in the outer one.
	Parent *Workload

	// What is known of it and of those it lies in; "" and 0 where not.
	ContainerID string // 64 hex digits, as a rule; of LXC the name
	Runtime     string // "docker", "containerd", "cri-o", "podman", "lxc"; "" where the path does not tell
	PodUID      string // with dashes
	Unit        string // of systemd, unescaped: "sshd.service"
	Machine     string // name of the virtual machine, as its cgroup has it
	Job, Step   string // of Slurm
	Path        string // of the cgroup below the root of the hierarchy: "/system.slice/sshd.service"

	PID        int
	Executable string // comm of the process: at most 15 bytes, not the path
	Owner      string // name of the user, else the uid; only if asked for
	Created    time.Time
}

// Share says which part of the work below a Workload a Usage tells of.
type Share uint8

const (
	// Own is what the workload itself did.
	Own Share = iota
	// Exited is what was done below it by workloads that ended before anybody saw
	// them, or whose last bit nobody saw.
	Exited
	// Other is what its processes beyond the top N did.
	Other
)

// Usage is what was used since the last Read. Usages do not overlap: what a
// container is told to have used, its processes are not, and the other way round.
type Usage struct {
	Of    *Workload // nil: the machine, for Exited and Other of no workload in particular
	Share Share

	CPU    time.Duration // time on CPUs, of all threads together
	Socket int           // physical package in which all its CPUs lie; -1: any

	// Holdings, not differences. They hold until another Usage of the same Of and
	// Share tells others: every Usage with the share Own has the present ones. What
	// nested workloads hold, and processes told singly, is theirs and not also of the
	// outer one.
	Memory  uint64 // bytes
	Request uint32 // thousandths of a CPU that Kubernetes reserves for it; 0: none known

	Ended bool // there will be no further Usage of Of, of any Share
}

// Busy is the time that the CPUs of the machine were busy since the last Read:
// user, nice, system, irq and softirq, not steal and not waiting.
type Busy struct {
	Sockets []SocketBusy // by Socket
	Memory  uint64       // bytes of the machine
	CPUs    int          // online
}

// SocketBusy is the busy time of one physical package.
type SocketBusy struct {
	Socket int
	CPU    time.Duration
}
