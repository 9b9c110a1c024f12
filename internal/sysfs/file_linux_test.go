package sysfs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestReadFileRefusesWhatIsNoAttribute(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "long"), make([]byte, Small), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fits"), make([]byte, Small-1), 0o600))
	var buf [Small]byte
	for name, want := range map[string]error{"fifo": ErrNotRegular, ".": ErrNotRegular, "long": ErrTooLong, "none": unix.ENOENT, "fits/x": unix.ENOTDIR, "fits": nil} {
		b, err := ReadFile(filepath.Join(dir, name), buf[:])
		require.ErrorIs(t, err, want, name)
		if want == nil {
			assert.Len(t, b, Small-1)
		}
	}
	_, err := ReadDir(filepath.Join(dir, "fifo"), 10)
	require.ErrorIs(t, err, unix.ENOTDIR)
}

func TestFollowStaysBelowTheTop(t *testing.T) {
	dir := t.TempDir()
	top := filepath.Join(dir, "sys")
	require.NoError(t, os.MkdirAll(filepath.Join(top, "devices/a"), 0o750))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sysother"), 0o750))
	for name, target := range map[string]string{"in": "devices/a", "out": "../sysother", "up": "..", "loop": "loop", "none": "nowhere"} {
		require.NoError(t, os.Symlink(target, filepath.Join(top, name)))
	}
	path, err := Follow(top, filepath.Join(top, "in"))
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(top, "devices/a"), path)
	for name, want := range map[string]error{"out": ErrOutside, "up": ErrOutside, "none": os.ErrNotExist} {
		_, err := Follow(top, filepath.Join(top, name))
		require.ErrorIs(t, err, want, name)
	}
	_, err = Follow(top, filepath.Join(top, "loop"))
	require.Error(t, err)
}

func TestPoolReadsOpenFilesAnew(t *testing.T) {
	dir := t.TempDir()
	p := NewPool(1)
	a, b := File{Path: filepath.Join(dir, "a")}, File{Path: filepath.Join(dir, "b")}
	_, err := p.Read(&a)
	require.ErrorIs(t, err, unix.EBADF)
	require.ErrorIs(t, p.Open(&a), unix.ENOENT)
	for _, f := range []*File{&a, &b} {
		require.NoError(t, os.WriteFile(f.Path, []byte("17\n"), 0o600))
		require.NoError(t, p.Open(f))
	}
	assert.True(t, p.Full())
	p.Shut(&b)
	p.Shut(&b)
	assert.False(t, p.Full())

	require.NoError(t, os.WriteFile(a.Path, []byte("18\n"), 0o600)) // in place
	content, err := p.Read(&a)
	require.NoError(t, err)
	assert.Equal(t, "18\n", string(content))
	assert.False(t, p.Replaced(&a))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = p.Read(&a) }))

	require.NoError(t, os.Rename(b.Path, a.Path))
	assert.True(t, p.Replaced(&a))
	_, err = p.Read(&a)
	require.ErrorIs(t, err, unix.ESTALE)
	p.Shut(&a)

	calls := 0
	p.Pread = func(int, []byte, int64) (int, error) { calls++; return -1, unix.EAGAIN }
	require.NoError(t, p.Open(&a))
	_, err = p.Read(&a)
	require.ErrorIs(t, err, unix.EAGAIN)
	assert.Equal(t, 3, calls)
	p.Shut(&a)
}
