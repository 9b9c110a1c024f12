package workload

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A node is a cgroup.
type node struct {
	name, path string // path: below the root of the hierarchy; "" for that
	ino        uint64
	depth      int
	parent     *node
	children   []*node // by name
	id         identity

	acc  *account // of the innermost workload that it belongs to
	work bool     // acc is its own

	usage, dir, memory handle
	links              uint64 // what the folder looked like when it was listed
	changed            int64
	seen               uint32 // listing that saw it last

	last    uint64 // counter, ns
	fresh   bool   // its counter was never read
	read    uint32 // Read that read it last
	claim   uint64 // increase since, with what could not be paid
	backlog uint64
	paid    uint64
	rate    float64 // ns per second when it last moved
	moved   uint32  // Read in which it last moved
	ownRate float64

	gone      bool
	attention bool   // to be visited with the next Read, moved or not
	listed    uint32 // Read that listed it last
	checked   uint32 // Read that looked for processes last

	group *group // its processes, if they are told

	heldAt, confinedAt time.Time
}

func (r *Reader) pathOf(n *node, file string) string {
	var b strings.Builder
	b.Grow(len(r.at.tree) + len(n.path) + len(file) + 1)
	b.WriteString(r.at.tree)
	b.WriteString(n.path)
	if file != "" {
		b.WriteByte('/')
		b.WriteString(file)
	}
	return b.String()
}

// attend lists a folder if its sub-folders may be others than known. kernfs counts them
// in the number of links. The time of change serves copies of a tree on file systems
// that do not.
func (r *Reader) attend(n *node) {
	var st unix.Stat_t
	var err error
	if n.dir.isOpen() {
		n.dir.used = r.files.now
		err = unix.Fstat(int(n.dir.fd-1), &st)
	} else {
		err = r.statFolder(n, &st)
	}
	switch {
	case err != nil:
		if !isGone(err) {
			r.fail(r.pathOf(n, ""), err)
		}
	case n.links != uint64(st.Nlink) || n.changed != st.Mtim.Nano(): //nolint:unconvert // Nlink is shorter on some architectures
		r.list(n)
	}
}

// statFolder opens the folder for the Reads to come, if there is room.
func (r *Reader) statFolder(n *node, st *unix.Stat_t) error {
	fd, err := openFolder(r.pathOf(n, ""))
	if err != nil {
		return err
	}
	err = unix.Fstat(fd, st)
	if err != nil || !r.files.keep(&n.dir, fd) {
		_ = unix.Close(fd)
	}
	return err
}

// list compares the sub-folders with the known ones: new ones become children, those
// missing are gone. A group of the same name with another inode is another group.
func (r *Reader) list(n *node) {
	n.listed = r.files.now
	fd, own, err := int(n.dir.fd-1), false, error(nil)
	if !n.dir.isOpen() {
		fd, err = openFolder(r.pathOf(n, ""))
		own = true
	}
	if err != nil {
		if !isGone(err) {
			r.fail(r.pathOf(n, ""), err)
		}
		return
	}
	if own {
		defer func() { _ = unix.Close(fd) }()
	}
	var st unix.Stat_t // before its content, so that what changes meanwhile is noticed
	if err = unix.Fstat(fd, &st); err == nil {
		_, err = unix.Seek(fd, 0, unix.SEEK_SET)
	}
	known := len(n.children)
	r.listing++
	for err == nil {
		var size int
		if size, err = unix.ReadDirent(fd, r.dirents); err != nil || size <= 0 {
			break
		}
		for b := r.dirents[:size]; ; {
			d, rest, ok := nextDirent(b)
			if !ok {
				break
			}
			b = rest
			r.entry(n, fd, known, d)
		}
	}
	if err != nil {
		if !isGone(err) {
			r.fail(r.pathOf(n, ""), err)
		}
		return
	}
	n.links, n.changed = uint64(st.Nlink), st.Mtim.Nano() //nolint:unconvert // Nlink is shorter on some architectures
	for _, c := range n.children[:known] {
		if c.seen != r.listing {
			c.gone = true
		}
	}
	if len(n.children) > known {
		slices.SortStableFunc(n.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	}
}

// entry takes one entry of the folder of n, of whose children the first known are sorted.
func (r *Reader) entry(n *node, fd, known int, d dirent) {
	if len(d.name) == 0 || d.name[0] == '.' && (len(d.name) == 1 || len(d.name) == 2 && d.name[1] == '.') {
		return
	}
	switch d.kind {
	case unix.DT_DIR:
	case unix.DT_UNKNOWN:
		var st unix.Stat_t
		if unix.Fstatat(fd, string(d.name), &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return
		}
	default: // a symbolic link leads elsewhere, and is not followed
		return
	}
	i, found := slices.BinarySearchFunc(n.children[:known], d.name, func(c *node, name []byte) int {
		return -bytes.Compare(name, []byte(c.name)) // the compiler copies nothing for a comparison
	})
	for ; found && i < known && n.children[i].name == string(d.name); i++ {
		if c := n.children[i]; c.ino == d.ino && !c.gone {
			c.seen = r.listing
			return
		}
	}
	switch {
	case len(n.children) >= maxChildren, r.cgroups >= maxCgroups, n.depth >= maxDepth,
		len(n.path)+1+len(d.name) > maxPath-len(r.at.tree)-64:
		r.stats.Unlisted++
		return
	}
	r.addNode(n, string(d.name), d.ino)
}

func (r *Reader) addNode(parent *node, name string, ino uint64) {
	n := &node{
		name: name, path: parent.path + "/" + name, ino: ino, depth: parent.depth + 1,
		parent: parent, id: parent.id.descend(name), acc: parent.acc,
		fresh: true, attention: true, seen: r.listing,
	}
	parent.children = append(parent.children, n)
	r.cgroups++
	r.ring = append(r.ring, n)
	if n.id.kind != 0 {
		r.adopt(n, n.id.kind)
	} else if !n.id.within && r.config.Containers {
		r.lookForProcesses(n)
	}
}

// adopt makes a cgroup a workload of its own.
func (r *Reader) adopt(n *node, kind Kind) {
	if !r.config.Containers {
		return
	}
	if r.workloads >= maxWorkloads {
		r.stats.Unlisted++
		return
	}
	r.workloads++
	id := &n.id
	n.work = true
	n.acc = &account{above: n.acc, socket: -1, work: &Workload{
		ID: n.path, Kind: kind, Parent: n.acc.work, Path: printable(n.path),
		ContainerID: printable(id.containerID), Runtime: id.runtime, PodUID: id.podUID,
		Unit: printable(id.unit), Machine: printable(id.machine), Job: printable(id.job), Step: printable(id.step),
	}}
	if n.acc.above.work == nil {
		n.acc.above = nil
	}
	for _, c := range n.children {
		n.acc.inherit(c)
	}
	// The first Reads find all groups at once: spread what is read now and then.
	n.heldAt, n.confinedAt = time.Time{}, time.Time{}
}

// inherit makes groups without a workload of their own part of this one.
func (a *account) inherit(n *node) {
	if n.work {
		return
	}
	n.acc = a
	for _, c := range n.children {
		a.inherit(c)
	}
}

// lookForProcesses makes a cgroup of no known shape a workload if it holds processes
// itself: most only hold other groups.
func (r *Reader) lookForProcesses(n *node) {
	n.checked = r.files.now
	fd, err := openFile(r.pathOf(n, "cgroup.procs"))
	if err != nil {
		if !isGone(err) && !errors.Is(err, unix.EOPNOTSUPP) {
			r.fail(r.pathOf(n, "cgroup.procs"), err)
		}
		return
	}
	size, err := pread(fd, r.small[:], 0)
	_ = unix.Close(fd)
	if err == nil && size > 0 {
		r.adopt(n, Group)
	}
}

// forget removes a cgroup that is gone, without what is below.
func (r *Reader) forget(n *node) {
	r.files.shut(&n.usage)
	r.files.shut(&n.dir)
	r.files.shut(&n.memory)
	if n.group != nil {
		r.files.shut(&n.group.list)
	}
	r.cgroups--
	n.gone = true // the ring drops it when it comes by
	if n.work {
		r.workloads--
		n.acc.ended = true
		r.book.hold(n.acc, 0, 0)
		r.book.touch(n.acc)
	}
}
