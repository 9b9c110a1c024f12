package workload

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A model of a tree of cgroups: counters are those of the kernel, which count what runs
// in a group also for all above it, and keep what ended groups ran.
type model struct {
	f     *tree
	used  map[string]time.Duration // by path
	names int
}

func (m *model) paths() []string {
	var all []string
	for p := range m.used {
		all = append(all, p)
	}
	slices.Sort(all) // rapid needs the same order each time
	return all
}

func (m *model) run(path string, d time.Duration) {
	for ; path != ""; path = path[:strings.LastIndexByte(path, '/')] {
		m.used[path] += d
	}
}

func (m *model) flush() {
	for p, d := range m.used {
		m.f.use(p, d)
	}
}

func (m *model) drop(path string) {
	for p := range m.used {
		if p == path || strings.HasPrefix(p, path+"/") {
			delete(m.used, p)
		}
	}
	m.f.remove(path)
}

func TestC58EveryNanosecondIsToldOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v1 := rapid.Bool().Draw(rt, "v1")
		f := newTree(t, v1)
		defer func() { _ = os.RemoveAll(f.root) }()
		m := &model{f: f, used: map[string]time.Duration{"/top": time.Hour}}
		m.flush()
		c := Config{Containers: true, Processes: rapid.Bool().Draw(rt, "processes"), Top: rapid.IntRange(0, 3).Draw(rt, "top")}
		r, err := Open(f.root, c)
		require.NoError(rt, err)
		defer r.Close()
		_, err = r.Read(t.Context(), nil)
		require.NoError(rt, err)

		last := m.used["/top"]
		ended := map[*Workload]bool{}
		totals := map[*Workload]time.Duration{}
		for range rapid.IntRange(1, 12).Draw(rt, "reads") {
			for range rapid.IntRange(0, 8).Draw(rt, "events") {
				m.event(rt)
			}
			m.flush()
			if c.Processes {
				m.shuffle(rt)
			}
			us, err := r.Read(t.Context(), nil)
			require.NoError(rt, err)
			require.Equal(rt, m.used["/top"]-last, sum(us), "Σ of what is told and what the top counted: %v", us)
			last = m.used["/top"]
			ending := map[*Workload]bool{}
			for _, u := range us {
				require.GreaterOrEqual(rt, u.CPU, time.Duration(0))
				require.False(rt, ended[u.Of], "%s is told after its end", label(u))
				totals[u.Of] += u.CPU
				if u.Ended {
					ending[u.Of] = true
				}
			}
			maps.Copy(ended, ending)
			for _, u := range us {
				if u.Of == nil || ended[u.Of] || u.Of.Kind == Process { // processes move within their container
					continue
				}
				if counter, ok := m.used[u.Of.Path]; ok {
					require.LessOrEqual(rt, totals[u.Of], counter, "%s was told more than it counted", label(u))
				}
			}
		}
	})
}

// shuffle puts processes into groups and lets them show any times: whatever they say, no
// more and no less than what their groups counted is told.
func (m *model) shuffle(t *rapid.T) {
	m.f.pass(time.Second)
	in := map[string][]int{}
	paths := m.paths()
	for pid := 1; pid <= 6; pid++ {
		if rapid.IntRange(0, 5).Draw(t, "alive") == 0 {
			_ = os.RemoveAll(filepath.Join(m.f.root, fmt.Sprint("proc/", pid)))
			continue
		}
		at := rapid.SampledFrom(paths).Draw(t, "in")
		in[at] = append(in[at], pid)
		m.f.write(fmt.Sprintf("proc/%d/cgroup", pid), "0::"+at+"\n3:cpu,cpuacct:"+at+"\n")
		m.f.process(pid, "p", rapid.IntRange(0, 30).Draw(t, "ticks"), rapid.SampledFrom([]int{5, 6, 100_100, 100_300}).Draw(t, "start"), 1)
	}
	for _, path := range paths {
		m.f.procs(path, in[path]...)
	}
}

// event is a thing that happens to the tree: work, or a group that is born, dies or
// moves.
func (m *model) event(t *rapid.T) {
	path := rapid.SampledFrom(m.paths()).Draw(t, "at")
	switch what := rapid.SampledFrom([]string{"run", "run", "run", "birth", "birth", "death", "rename", "storm"}).Draw(t, "event"); what {
	case "run", "storm":
		m.run(path, time.Duration(rapid.IntRange(0, 50_000).Draw(t, "µs"))*time.Microsecond)
	case "birth":
		m.names++
		name := path + "/" + rapid.SampledFrom([]string{"docker", hexA[:60] + fmt.Sprintf("%04x", m.names), fmt.Sprintf("u%d.service", m.names), fmt.Sprintf("x%d", m.names)}).Draw(t, "name")
		if _, ok := m.used[name]; !ok && strings.Count(name, "/") < 7 {
			m.used[name] = 0
			m.f.use(name, 0)
		}
	case "death":
		if path != "/top" {
			m.drop(path)
		}
	case "rename": // version 1 allows it: the counter stays
		if path == "/top" {
			return
		}
		m.names++
		to := fmt.Sprintf("%s/r%d.service", path[:strings.LastIndexByte(path, '/')], m.names)
		require.NoError(t, os.Rename(filepath.Join(m.f.root, m.f.folder(path)), filepath.Join(m.f.root, m.f.folder(to))))
		for p, d := range m.used {
			if p == path || strings.HasPrefix(p, path+"/") {
				delete(m.used, p)
				m.used[to+p[len(path):]] = d
			}
		}
		m.f.stamp(filepath.Join(m.f.root, m.f.folder(path[:strings.LastIndexByte(path, '/')])))
	}
}

func TestC58GrantIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s splitter
		claims := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) claim {
			return claim{amount: rapid.Uint64Range(0, 1<<40).Draw(t, "claim")}
		}), 0, 20).Draw(t, "claims")
		amount := rapid.Uint64Range(0, 1<<42).Draw(t, "amount")
		left := s.grant(amount, claims)
		var paid, asked uint64
		for _, c := range claims {
			if c.paid > c.amount {
				t.Fatalf("%d was paid for %d", c.paid, c.amount)
			}
			paid += c.paid
			asked += c.amount
		}
		if paid+left != amount || left > 0 && paid != asked {
			t.Fatalf("of %d, %d of %d was paid and %d left", amount, paid, asked, left)
		}
	})
}
