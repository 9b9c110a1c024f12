package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A process of a GPU is asked for after one Read, and is gone at the next.
func TestWhoWasFoundIsToldAsEnded(t *testing.T) {
	for _, top := range []int{100, 0} {
		t.Run(fmt.Sprint(top), func(t *testing.T) {
			f, box := one(t)
			f.process(11, "a", 0, 5, 10)
			f.procs(box, 11)
			m := f.open(Config{Containers: true, Processes: true, Top: top, Memory: true})
			m.read()
			f.process(11, "a", 10, 5, 10)
			f.run(box, 100*ms)
			m.read()
			// a job begins, is seen on the GPU, and ends before the next Read
			f.process(12, "job", 30, int(f.uptime*100), 10)
			f.procs(box, 11, 12)
			f.write("proc/12/cgroup", "0::"+box+"\n")
			w := m.r.Find(12)
			require.NotNil(t, w)
			require.Equal(t, Process, w.Kind)
			require.NoError(t, removeAll(f, "proc/12"))
			f.procs(box, 11)
			f.process(11, "a", 20, 5, 10)
			f.run(box, 600*ms)
			ended := false
			for range 80 {
				for _, u := range m.read() {
					if u.Of == w {
						ended = ended || u.Ended
					}
				}
				f.pass(1e9)
			}
			assert.True(t, ended, "whom Find has returned is told as ended")
		})
	}
}

// Without processes a container is found by a PID, if /proc is of the same namespace.
func TestC51FindInAnotherNamespace(t *testing.T) {
	f, box := one(t)
	require.NoError(t, os.Symlink("4711", filepath.Join(f.root, "proc/self")))
	f.write("proc/11/cgroup", "0::"+box+"\n")
	m := f.open(Config{Containers: true, Memory: true})
	m.read()
	assert.Nil(t, m.r.Find(11), "PID 11 here is somebody else there")
}

// Anybody may name a cgroup with bytes that are no text, which no OTLP receiver takes.
func TestNamesAreText(t *testing.T) {
	for _, name := range []string{"a\xff.service", `a\xff.service`, "machine-\xfe.scope", "b\xff"} {
		f := newTree(t, false)
		f.use("/user.slice", 0)
		f.use("/user.slice/"+name, 0)
		f.procs("/user.slice/"+name, 12)
		m := f.open(Config{Containers: true, Memory: true})
		m.read()
		f.use("/user.slice/"+name, 1e9)
		f.use("/user.slice", 1e9)
		f.pass(1e9)
		for _, u := range m.read() {
			if u.Of != nil {
				assert.True(t, utf8.ValidString(u.Of.Path) && utf8.ValidString(u.Of.Unit) && utf8.ValidString(u.Of.Machine), name)
			}
		}
	}
}
