package workload

// Config says what is wanted. The zero value tells only that the machine was used.
type Config struct {
	// Processes tells single processes beside the groups that they are in.
	Processes bool
	// Top bounds the processes that are told singly to those that use most; the
	// others are Other of their group. 0: all.
	Top int
	// Containers tells groups. Without it, everything but single processes is Other
	// or Exited of nil.
	Containers bool
	// Owner looks up Workload.Owner, in etc/passwd below the root.
	Owner bool
	// Memory reads the holdings: memory and requests.
	Memory bool
}

// Stats is what a Reader says about itself.
type Stats struct {
	Cgroups   int // known
	Processes int // known
	Files     int // kept open

	CgroupsRead   int // counters read by the last Read
	ProcessesRead int // by the last Read

	// Since Open.
	Unlisted   uint64 // cgroups and processes left out because there are too many
	Permission uint64 // reads refused
	IO         uint64 // reads that failed otherwise
	Malformed  uint64 // contents that no kernel writes
	Hidden     uint64 // processes of another PID namespace
}

// Bounds against trees that are not a kernel's, and against machines where every
// group of hundred thousands would become a series.
const (
	maxDepth     = 64
	maxCgroups   = 200_000
	maxWorkloads = 100_000
	maxProcesses = 400_000
	maxChildren  = 100_000 // of one cgroup
	maxPath      = 4096    // PATH_MAX
)
