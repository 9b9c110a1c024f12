package workload

import "strings"

// A family is the convention that the groups directly below a group follow.
type family uint8

const (
	anyone   family = iota
	docker          // /docker/<id>, /moby/<id>: dockerd without systemd
	contd           // /default/<id>, /k8s.io/<id>: containerd without systemd, by its namespaces
	kubepods        // kubepods and its classes of service: pods
	podOf           // a pod: containers
	slurm           // job_N
	jobOf           // step_N
	lxc             // /lxc/<name>
	libvirt         // /machine/<name>.libvirt-qemu
	qemu            // qemu.slice/<number>.scope of Proxmox
	ecs             // /ecs/<task>/<id>
)

// An identity is what the path of a cgroup tells about it.
type identity struct {
	kind   Kind   // of this very group; 0: it is none of a known shape
	within bool   // it or a group above it is of a known shape
	below  family // what to expect below

	containerID, runtime, podUID, unit, machine, job, step string
}

// classify tells what a cgroup is from its path below the root of the hierarchy.
// Where several shapes are nested, the container, unit and step are the deepest and
// the pod is the outermost: the one that the host's Kubernetes knows.
func classify(path string) identity {
	var id identity
	for name := range strings.SplitSeq(path, "/") {
		if name != "" {
			id = id.descend(name)
		}
	}
	return id
}

// descend tells what the sub-group name of a group is.
func (id identity) descend(name string) identity {
	from := id.below
	id.kind, id.below = 0, anyone
	found := id.kubernetes(name, from) || id.container(name, from) || id.batch(name, from) || id.virtual(name, from) || id.systemd(name)
	if found {
		id.within = id.within || id.kind != 0
		return id
	}
	switch {
	case name == "docker", name == "moby":
		id.below = docker
	case name == "default", name == "k8s.io", name == "nerdctl":
		id.below = contd
	case name == "kubepods", from == kubepods: // and its besteffort, burstable
		id.below = kubepods
	case strings.HasPrefix(name, "slurm"), from == slurm && strings.HasPrefix(name, "uid_"):
		id.below = slurm
	case name == "lxc", name == "lxc.payload":
		id.below = lxc
	case name == "machine", name == "libvirt" && !id.within:
		id.below = libvirt
	case from == libvirt && (name == "qemu" || name == "lxc"):
		id.below = libvirt
	case name == "ecs", from == ecs:
		id.below = ecs
	case from == podOf && !id.within:
		id.below = podOf
	}
	return id
}

// kubernetes knows pods of both drivers of the kubelet:
//
//	kubepods-burstable-pod1b4e28ba_2fa1_….slice   systemd; guaranteed pods lack the class
//	kubelet-kubepods-besteffort-pod….slice        the same below --cgroup-root
//	kubepods/burstable/pod1b4e28ba-2fa1-…         cgroupfs
func (id *identity) kubernetes(name string, from family) bool {
	slice, scoped, _ := strings.Cut(name, ":") // <slice of the pod>:cri-containerd:<id>
	uid, ok := podOfSlice(slice)
	switch {
	case ok:
	case from == kubepods && strings.HasPrefix(name, "pod"):
		if uid, ok = podUID(name[len("pod"):]); !ok {
			return false
		}
	default:
		if strings.HasSuffix(name, ".slice") && strings.Contains(name, "kubepods") {
			id.below = kubepods
			return true
		}
		return false
	}
	if id.podUID == "" {
		id.podUID = uid
	}
	if scoped != "" {
		return id.container(name, podOf)
	}
	id.kind, id.below = Pod, podOf
	return true
}

func podOfSlice(name string) (uid string, ok bool) {
	name, isSlice := strings.CutSuffix(name, ".slice")
	i := strings.LastIndex(name, "-pod")
	if !isSlice || i < 0 || !strings.Contains(name[:i], "kubepods") {
		return "", false
	}
	return podUID(strings.ReplaceAll(name[i+len("-pod"):], "_", "-"))
}

// podUID accepts UUIDs, and the 32 digits of pods that the kubelet starts from a file.
func podUID(s string) (string, bool) {
	switch len(s) {
	case 36:
		for i := range len(s) {
			if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || (!dash && !isHex(s[i])) {
				return "", false
			}
		}
		return s, true
	case 32:
		return s, allHex(s)
	}
	return "", false
}

// runtimeOf tells the runtime from what it puts before the id of a container.
func runtimeOf(prefix string) (runtime string, ok bool) {
	switch prefix {
	case "docker":
		return "docker", true
	case "cri-containerd", "nerdctl", "containerd":
		return "containerd", true
	case "crio", "cri-o":
		return "cri-o", true
	case "libpod", "libpod-payload":
		return "podman", true
	}
	return "", false
}

// container knows <prefix>-<id>.scope, <prefix>-<id>, <slice>:<prefix>:<id> and <id>.
func (id *identity) container(name string, from family) bool {
	bare := strings.TrimSuffix(name, ".scope")
	var prefix, cid string
	switch i, j := strings.LastIndexByte(bare, ':'), strings.LastIndexByte(bare, '-'); {
	case i >= 0:
		cid = bare[i+1:]
		prefix = bare[strings.LastIndexByte(bare[:i], ':')+1 : i]
	case j >= 0:
		prefix, cid = bare[:j], bare[j+1:]
	default:
		cid = bare
	}
	if from == ecs && isFargate(bare) {
		id.found(bare, "")
		return true
	}
	if len(cid) != 64 || !allHex(cid) {
		return false
	}
	runtime, known := runtimeOf(prefix)
	switch {
	case known:
	case strings.HasSuffix(prefix, "conmon"): // it watches the container and is not it: of the pod, or a scope of its own
		if id.within {
			return true
		}
		id.kind, id.unit = Service, name
		return true
	case prefix != "":
		return false
	case from == docker:
		runtime = "docker"
	case from == contd:
		runtime = "containerd"
	}
	id.found(cid, runtime)
	return true
}

func (id *identity) found(containerID, runtime string) {
	id.kind, id.containerID, id.runtime = Container, containerID, runtime
}

// isFargate knows <32 hexadecimal digits>-<number>, which ECS gives containers.
func isFargate(s string) bool {
	id, n, ok := strings.Cut(s, "-")
	return ok && len(id) == 32 && allHex(id) && n != "" && len(n) <= 10 && allDigits(n)
}

// batch knows Slurm's job_N and step_N; what is below a step belongs to it.
func (id *identity) batch(name string, from family) bool {
	if n, ok := strings.CutPrefix(name, "job_"); ok && from == slurm && n != "" && len(n) <= 64 {
		id.kind, id.job, id.step, id.below = Job, n, "", jobOf
		return true
	}
	if n, ok := strings.CutPrefix(name, "step_"); ok && from == jobOf && n != "" && len(n) <= 64 {
		id.kind, id.step = Step, n
		return true
	}
	return false
}

// virtual knows what systemd-machined, libvirt, Proxmox and LXC run.
func (id *identity) virtual(name string, from family) bool {
	machine := ""
	switch {
	case strings.HasPrefix(name, "machine-") && strings.HasSuffix(name, ".scope"):
		machine = name[len("machine-") : len(name)-len(".scope")]
	case strings.HasPrefix(name, "systemd-nspawn@") && strings.HasSuffix(name, ".service"):
		machine = name[len("systemd-nspawn@") : len(name)-len(".service")]
	case from == qemu && strings.HasSuffix(name, ".scope"):
		machine = name[:len(name)-len(".scope")]
	case from == libvirt:
		machine, _, _ = strings.Cut(name, ".libvirt-")
		if machine == name {
			return false
		}
	case len(name) > len("lxc.payload.") && strings.HasPrefix(name, "lxc.payload."):
		id.found(name[len("lxc.payload."):], "lxc")
		return true
	case from == lxc:
		id.found(name, "lxc")
		return true
	}
	if machine == "" {
		return false
	}
	id.kind, id.machine = Machine, domain(unescape(machine))
	return true
}

// domain takes the number from the name that libvirt gives to a machine: "qemu-7-web" is
// the seventh that it has started.
func domain(name string) string {
	for _, driver := range [...]string{"qemu-", "lxc-"} {
		if rest, ok := strings.CutPrefix(name, driver); ok {
			if number, own, found := strings.Cut(rest, "-"); found && own != "" && strings.Trim(number, "0123456789") == "" {
				return own
			}
		}
	}
	return name
}

// systemd knows units. A slice is none that runs anything; init.scope is process 1 of
// the machine, and below another unit or container a part of that.
func (id *identity) systemd(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return false
	}
	switch name[dot:] {
	case ".slice":
		if name == "qemu.slice" {
			id.below = qemu
		}
		return true
	case ".scope":
		if name == "init.scope" && id.within {
			return true
		}
		if strings.HasSuffix(name, "slurmstepd.scope") {
			id.below = slurm
		}
	case ".service", ".mount", ".swap", ".socket":
	default:
		return false
	}
	id.kind, id.unit = Service, unescape(name)
	return true
}

// unescape reverses systemd-escape as far as it concerns names of units: \x2d is a dash.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' && isHex(s[i+2]) && isHex(s[i+3]) {
			c := hexValue(s[i+2])<<4 | hexValue(s[i+3])
			if c >= ' ' { // a control character stays as it is written
				b.WriteByte(c)
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hexValue(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return s != ""
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
