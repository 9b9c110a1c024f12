package workload

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// corpus returns the lines of testdata/paths.txt.
func corpus(t testing.TB) (rows [][3]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/paths.txt")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		f := append(strings.Split(line, "\t"), "")
		rows = append(rows, [3]string{f[0], f[1], f[2]})
	}
	require.Greater(t, len(rows), 60, "the corpus is missing")
	return rows
}

func (id identity) text() (kind, known string) {
	var b strings.Builder
	for _, f := range [][2]string{
		{"id", id.containerID}, {"runtime", id.runtime}, {"pod", id.podUID}, {"machine", id.machine}, {"job", id.job}, {"step", id.step}, {"unit", id.unit},
	} {
		if f[1] != "" {
			b.WriteString(" " + f[0] + "=" + f[1])
		}
	}
	if id.kind == 0 {
		kind = "-"
		if id.within {
			b.WriteString(" within")
		}
	} else {
		kind = id.kind.String()
	}
	return kind, strings.TrimPrefix(b.String(), " ")
}

func TestClassify(t *testing.T) {
	for _, row := range corpus(t) {
		t.Run("C64 "+strings.ReplaceAll(row[0], "/", "|"), func(t *testing.T) {
			kind, known := classify(row[0]).text()
			assert.Equal(t, row[1], kind)
			assert.ElementsMatch(t, strings.Fields(row[2]), strings.Fields(known))
		})
	}
}

func FuzzC24Classify(f *testing.F) {
	for _, row := range corpus(f) {
		f.Add(row[0])
	}
	f.Fuzz(func(t *testing.T, path string) {
		id := classify(path)
		if id.kind != 0 && !id.within {
			t.Errorf("%q: %+v is a workload and is not within one", path, id)
		}
		if id.podUID != "" && len(id.podUID) != 32 && len(id.podUID) != 36 {
			t.Errorf("%q: pod %q", path, id.podUID)
		}
		if id.kind == Container && id.containerID == "" || id.kind == Pod && id.podUID == "" || id.kind == Machine && id.machine == "" {
			t.Errorf("%q: %+v has no name", path, id)
		}
	})
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`a\x2db`: "a-b", `\x2d`: "-", `\x2`: `\x2`, `\xzz`: `\xzz`, `\x0a`: `\x0a`, `\\x2d`: `\-`, `\x5cx2d`: `\x2d`, "": "",
	} {
		assert.Equal(t, want, unescape(in), in)
	}
}
