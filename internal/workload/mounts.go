package workload

import (
	"slices"
	"strings"
)

// A mount is a cgroup file system that the machine has mounted.
type mount struct {
	point       string
	v2          bool
	controllers []string // of version 1
}

// parseMountinfo finds cgroup file systems in /proc/PID/mountinfo, whose lines are
//
//	33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
//
// with any number of optional fields before the dash (proc(5)).
func parseMountinfo(b []byte) []mount {
	var found []mount
	for line := range strings.Lines(string(b)) {
		before, after, ok := strings.Cut(line, " - ")
		if !ok {
			continue
		}
		place, fs := strings.Fields(before), strings.Fields(after)
		if len(place) < 5 || len(fs) < 3 {
			continue
		}
		found = appendMount(found, place[4], fs[0], fs[2])
	}
	return found
}

// parseMounts finds them in /proc/mounts, which lacks what is not needed here.
func parseMounts(b []byte) []mount {
	var found []mount
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 4 {
			found = appendMount(found, f[1], f[2], f[3])
		}
	}
	return found
}

func appendMount(found []mount, point, fs, options string) []mount {
	point = unescapeMount(point)
	if !strings.HasPrefix(point, "/") || len(point) > maxPath || slices.Contains(strings.Split(point, "/"), "..") {
		return found
	}
	switch fs {
	case "cgroup2":
		return append(found, mount{point: point, v2: true})
	case "cgroup":
		return append(found, mount{point: point, controllers: strings.Split(options, ",")})
	}
	return found
}

// unescapeMount reverses the octal escapes of space, tab, newline and backslash.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// customary is where systemd mounts them: what to try if no process tells.
func customary() []mount {
	at := func(name string, controllers ...string) mount {
		return mount{point: "/sys/fs/cgroup/" + name, controllers: controllers}
	}
	return []mount{
		{point: "/sys/fs/cgroup", v2: true},
		{point: "/sys/fs/cgroup/unified", v2: true},
		at("cpu,cpuacct", "cpu", "cpuacct"), at("cpuacct,cpu", "cpu", "cpuacct"), at("cpuacct", "cpuacct"), at("cpu", "cpu"),
		at("memory", "memory"), at("cpuset", "cpuset"),
	}
}

// A layout says where the attributes of a cgroup lie: folders as this process opens
// them, to which the path of the group is added. "" where there is no such thing.
type layout struct {
	v2                       bool
	tree                     string // the hierarchy that counts CPU time
	cpu, memory, cpuset      string // folders of shares or weights, memory and CPUs
	usage                    string // names of files
	held, reserved, confined string
}

// arrange chooses the hierarchy that counts CPU time. Version 1 counts where version 2
// has no controllers (hybrid mode): containers have their groups in the former then.
func arrange(mounts []mount, exists func(file string) bool, controllers func(mount) string) layout {
	var l layout
	v1 := func(controller, file string) string {
		for _, m := range mounts {
			if !m.v2 && slices.Contains(m.controllers, controller) && exists(m.point+"/"+file) {
				return m.point
			}
		}
		return ""
	}
	acct := v1("cpuacct", "cpuacct.usage")
	for _, m := range mounts {
		if !m.v2 || !exists(m.point+"/cgroup.controllers") {
			continue
		}
		if acct != "" && !slices.Contains(strings.Fields(controllers(m)), "cpu") {
			continue
		}
		return layout{
			v2: true, tree: m.point, cpu: m.point, memory: m.point, cpuset: m.point,
			usage: "cpu.stat", held: "memory.current", reserved: "cpu.weight", confined: "cpuset.cpus.effective",
		}
	}
	if acct == "" {
		return l
	}
	l = layout{
		tree: acct, cpu: v1("cpu", "cpu.shares"), memory: v1("memory", "memory.usage_in_bytes"), cpuset: v1("cpuset", "cpuset.cpus"),
		usage: "cpuacct.usage", held: "memory.usage_in_bytes", reserved: "cpu.shares", confined: "cpuset.cpus",
	}
	if l.cpuset != "" && exists(l.cpuset+"/cpuset.effective_cpus") {
		l.confined = "cpuset.effective_cpus" // since Linux 3.17
	}
	return l
}
