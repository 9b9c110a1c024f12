// Package testfs unpacks txtar archives that look like a Linux machine (sys,
// proc) into the temporary folder of a test. Trees of sysfs stand in the
// repository as archives because their file names contain colons, which a Go
// module must not have.
//
// Beyond plain files an archive may hold, by what stands in a file's header:
//
//	-- sys/devices/energy_uj --                  a file, mode 0644
//	-- sys/devices/energy_uj [0400] --           a file of that mode
//	-- sys/class/powercap/ --                    an empty folder, mode 0755
//	-- sys/class/powercap/ [0000] --             a folder of that mode, whatever lies in it
//	-- sys/class/powercap/rapl:0 -> ../../x --   a symbolic link; its target is taken as it stands
//
// Folders above a file appear by themselves. The text before the first header
// says which machine it is.
package testfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Unpack unpacks a txtar archive into a new folder and returns that folder. It
// fails t if the archive holds no file, or if a name or a link of the archive
// would put a file outside the folder.
func Unpack(t testing.TB, archive []byte) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := UnpackInto(root, archive); err != nil {
		t.Fatalf("testfs: %v", err)
	}
	return root
}

// UnpackFile is Unpack for an archive in a file.
func UnpackFile(t testing.TB, name string) (root string) {
	t.Helper()
	archive, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("testfs: %v", err)
	}
	return Unpack(t, archive)
}

// Write puts content into root/name, making the folders above it. A file that
// exists is replaced by rename and keeps its mode, so that no reader ever sees
// half of it. Neither name nor a symbolic link in root leads out of root.
func Write(t testing.TB, root, name, content string) {
	t.Helper()
	if err := write(root, name, content); err != nil {
		t.Fatalf("testfs: %v", err)
	}
}

func write(root, name, content string) (err error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	mode := fs.FileMode(0o644)
	if info, statErr := r.Stat(name); statErr == nil {
		mode = info.Mode().Perm()
	}
	scratch := name + ".new"
	if err := writeFile(r, entry{name: scratch, mode: mode, content: []byte(content)}); err != nil {
		return err
	}
	return r.Rename(scratch, name)
}

// An entry is one header of an archive with what follows it.
type entry struct {
	name    string
	target  string // of a symbolic link, else ""
	folder  bool
	mode    fs.FileMode
	content []byte
}

// UnpackInto unpacks into a folder that exists and returns what Unpack fails
// with. It serves fuzz tests, for which an archive that is wrong is no failure.
func UnpackInto(root string, archive []byte) (err error) {
	files := txtar.Parse(archive).Files
	if len(files) == 0 {
		return errors.New("the archive holds no file; each begins with a line \"-- name --\"")
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()

	var folders []entry // their modes come last: nothing can be put into a folder of mode 0000
	for _, f := range files {
		e, err := parse(f)
		if err != nil {
			return err
		}
		switch {
		case e.folder:
			err = r.MkdirAll(e.name, 0o755)
			folders = append(folders, e)
		case e.target != "":
			if err = r.MkdirAll(path.Dir(e.name), 0o755); err == nil {
				err = r.Symlink(e.target, e.name)
			}
		default:
			err = writeFile(r, e)
		}
		if err != nil {
			return fmt.Errorf("entry %q: %w", f.Name, err)
		}
	}
	for _, e := range folders {
		if err := r.Chmod(e.name, e.mode); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(r *os.Root, e entry) error {
	if err := r.MkdirAll(path.Dir(e.name), 0o755); err != nil {
		return err
	}
	if err := r.WriteFile(e.name, e.content, 0o600); err != nil {
		return err
	}
	return r.Chmod(e.name, e.mode) // not at creation: that is subject to the umask
}

func parse(f txtar.File) (entry, error) {
	e := entry{name: f.Name, mode: 0o644, content: f.Data}
	name, target, isLink := strings.Cut(f.Name, " -> ")
	if isLink {
		if target == "" || len(f.Data) != 0 {
			return e, fmt.Errorf("entry %q: a link has a target and no content", f.Name)
		}
		e.name, e.target = name, target
	}
	if open := strings.LastIndex(e.name, " ["); !isLink && open > 0 && strings.HasSuffix(e.name, "]") {
		mode, err := strconv.ParseUint(e.name[open+2:len(e.name)-1], 8, 9)
		if err != nil {
			return e, fmt.Errorf("entry %q: the mode is not an octal number up to 0777", f.Name)
		}
		e.name, e.mode = e.name[:open], fs.FileMode(mode)
	} else if strings.HasSuffix(e.name, "/") {
		e.mode = 0o755
	}
	if strings.HasSuffix(e.name, "/") {
		if e.folder = true; len(f.Data) != 0 {
			return e, fmt.Errorf("entry %q: a folder has no content", f.Name)
		}
	}
	e.name = strings.TrimSuffix(e.name, "/")
	if e.name == "." || path.Clean(e.name) != e.name || !filepath.IsLocal(filepath.FromSlash(e.name)) {
		return e, fmt.Errorf("entry %q: the name has to be relative, clean and inside the root", f.Name)
	}
	return e, nil
}
