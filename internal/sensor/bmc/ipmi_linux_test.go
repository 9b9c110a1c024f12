package bmc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

func TestOpenWithoutADevice(t *testing.T) {
	const device = "/dev/ipmi250" // of 256 that the driver can have
	root := t.TempDir()
	for _, c := range []struct {
		name  string
		file  string
		class sensor.Class
		words string
	}{
		{"C72 no driver", "", sensor.Absent, "modprobe ipmi_devintf"},
		{"C23 the device stays outside of the container", "sys/class/ipmi/ipmi250/dev", sensor.Masked, "--device " + device},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.file != "" {
				testfs.Write(t, root, c.file, "240:250\n")
			}
			s, err := Open(root, Config{IPMI: IPMI{Device: device}})
			require.ErrorIs(t, err, errors.ErrUnsupported)
			assert.Nil(t, s)
			p := problemOf(t, err)
			assert.Equal(t, c.class, p.Class)
			assert.Equal(t, device, p.Path)
			assert.Contains(t, p.Remedy, c.words)
		})
	}
}

func TestOpenOnTheMachineOfThisTest(t *testing.T) {
	s, err := Open("", Config{})
	if err != nil {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		return
	}
	_, _ = s.Read(t.Context(), nil)
	require.NoError(t, s.Close())
}

func TestDeviceNumber(t *testing.T) {
	for device, want := range map[string]int32{"/dev/ipmi0": 0, "/dev/ipmi12": 12, "/dev/ipmi/1": 1, "/dev/ipmidev/2": 2} {
		n, err := deviceNumber(device)
		require.NoError(t, err, device)
		assert.Equal(t, want, n)
	}
	for _, device := range []string{"ipmi0", "/dev/ipmi", "/dev/ipmi-1", "/dev/ipmi+1", "/dev/ipmi01", "/dev/ipmi256", "/dev/sda", "/dev/ipmi0/../sda"} {
		_, err := Open("", Config{IPMI: IPMI{Device: device}})
		require.ErrorContains(t, err, "not of the form /dev/ipmi0", device)
	}
}

func TestOpenFailure(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name  string
		err   error
		class sensor.Class
		words string
	}{
		{"C78 no permission", unix.EACCES, sensor.Permission, ""},
		{"C78 not permitted by the container", unix.EPERM, sensor.Permission, ""},
		{"removed", unix.ENOENT, sensor.Gone, "dmesg"},
		{"controller lost", unix.ENODEV, sensor.Gone, "dmesg"},
		{"too many users", unix.EBUSY, sensor.IO, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, "ipmi0")
			p := newProblem("", openFailure(path, &os.PathError{Op: "open", Path: path, Err: c.err}))
			assert.Equal(t, c.class, p.Class)
			assert.Equal(t, path, p.Path)
			assert.Contains(t, p.Remedy, c.words)
			require.ErrorIs(t, p, c.err)
		})
	}
	t.Run("C78 the remedy names rule and group", func(t *testing.T) {
		if unix.Geteuid() == 0 {
			assert.Contains(t, permissionRemedy("/dev/ipmi0"), "--device")
			return
		}
		assert.Contains(t, permissionRemedy("/dev/ipmi0"), `SUBSYSTEM=="ipmi"`)
		assert.Contains(t, permissionRemedy("/dev/ipmi0"), "SupplementaryGroups")
	})
}

// A file that is no device: opened, and refused by the first request to the driver.
func TestAskOfWhatIsNoDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ipmi0")
	d := &ipmiDevice{path: path, number: 250}
	_, err := d.ask(t.Context())
	assert.Equal(t, sensor.Gone, classify(err))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = d.ask(t.Context())
	require.Error(t, err)
	assert.Equal(t, sensor.IO, classify(err))
	assert.Nil(t, d.link)
	d.close(t.Context())
}

// inBubble starts the sensor on a scripted device.
func inBubble(t *testing.T, ask func(n int) ([]byte, error)) (*reader, *int) {
	t.Helper()
	n := 0
	src := &inside{device: "/dev/ipmi0", asker: askFunc(func(context.Context) ([]byte, error) {
		n++
		return ask(n - 1)
	})}
	r := newReader(src, Config{}.withDefaults())
	r.start()
	t.Cleanup(func() { _ = r.Close() })
	synctest.Wait()
	return r, &n
}

func TestIPMIC43StaleRepeat(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(n int) []byte
		stale  bool
	}{
		{"C43 nothing moves", func(int) []byte { return statistics() }, true},
		{"C43 its clock moves", func(n int) []byte { return with(statistics(), 10, byte(n)) }, false},
		{"C43 its clock stands, the mean moves", func(n int) []byte { return with(statistics(), 8, byte(n)) }, false},
		{"C43 its clock stands, the power moves", func(n int) []byte { return with(statistics(), 2, byte(n)) }, false},
		{"C43 it has no clock", func(int) []byte { return with(statistics(), 10, 0, 0, 0, 0) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := inBubble(t, func(n int) ([]byte, error) { return c.answer(n), nil })
				tick(31 * time.Second)
				rs, err := r.Read(t.Context(), nil)
				require.NoError(t, err)
				assert.Len(t, rs, 1)
				tick(5 * time.Second)
				rs, err = r.Read(t.Context(), nil)
				if c.stale {
					assert.Empty(t, rs)
					assert.Equal(t, sensor.IO, problemOf(t, err).Class)
					return
				}
				require.NoError(t, err)
				assert.Len(t, rs, 1)
			})
		})
	}
}

func TestIPMIFaultsPassAndPermissionIsNoticedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var granted atomic.Bool
		r, n := inBubble(t, func(int) ([]byte, error) {
			if !granted.Load() {
				return nil, openFailure("/dev/ipmi0", &os.PathError{Err: unix.EACCES})
			}
			return statistics(), nil
		})
		tick(time.Minute)
		assert.GreaterOrEqual(t, *n, 10, "the kernel locks nobody out: at 0 s and each 5 to 6.25 s")
		assert.Equal(t, sensor.Permission, problemOf(t, second(r.Read(t.Context(), nil))).Class)
		granted.Store(true) // C14
		tick(7 * time.Second)
		rs, err := r.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Len(t, rs, 1)
	})
	synctest.Test(t, func(t *testing.T) {
		r, _ := inBubble(t, func(n int) ([]byte, error) {
			if n%2 == 1 {
				return []byte{0xc3}, nil // C43 timeout
			}
			return with(statistics(), 10, byte(n)), nil
		})
		rs, err := r.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Len(t, rs, 1)
		tick(5 * time.Second)
		rs, err = r.Read(t.Context(), nil)
		assert.Empty(t, rs)
		assert.Equal(t, sensor.IO, problemOf(t, err).Class)
		tick(7 * time.Second)
		rs, err = r.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Len(t, rs, 1)
	})
}
