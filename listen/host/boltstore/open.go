package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long opening waits for another process.
const lockTimeout = time.Second

// mapSize is how much address space is reserved for the file, where addresses
// have 64 bits: 64 GiB. A file that grows beyond needs another mapping, for which
// writers wait until nobody reads, such as for a backup.
const mapSize = 1 << (strconv.IntSize - 28)

// open opens the file and brings it up to date.
func (s *Store) open(steps []migration) (err error) {
	size := mapSize
	if runtime.GOOS == "windows" { // would make the file as large
		size = 0
	}
	s.db, err = openFile(s.options.Log, s.path, s.options.ReadOnly, size)
	if errors.Is(err, syscall.ENOMEM) {
		s.db, err = openFile(s.options.Log, s.path, s.options.ReadOnly, 0)
	}
	if err != nil {
		return err
	}
	err = guarded(s.options.Log, func() error { return s.prepare(steps) })
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// prepare checks and completes a file that is open.
func (s *Store) prepare(steps []migration) error {
	s.checkMode()
	if err := s.verifyPages(); err != nil {
		return err
	}
	if s.options.ReadOnly {
		return checkSchema(s.db, len(steps)+1)
	}
	if err := migrate(s.db, steps); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.path)) // the file may be new
}

// verifyPages reads the pages of a file that is locked, if it is not too large.
func (s *Store) verifyPages() error {
	return readPages(s.path, func(f *os.File, h header) error {
		if int64(h.end)*int64(h.pageSize) > s.options.VerifyPages {
			return nil
		}
		var err error
		w := &walker{ctx: context.Background(), file: f, header: h, report: func(format string, args ...any) {
			if err == nil {
				err = fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
			}
		}}
		_ = w.walk() // it fails with its context alone
		return err
	})
}

// checkMode warns of a file that others may read: it holds what is as good as
// passwords.
func (s *Store) checkMode() {
	info, err := os.Stat(s.path)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		s.options.Log.Warn("others may read the store, which has keys as good as passwords: chmod 600", "path", s.path, "mode", info.Mode().Perm())
	}
}

// openFile opens a file with bbolt, which trusts what it finds. So the parts that
// it reads at once are checked before.
func openFile(log *slog.Logger, path string, readOnly bool, size int) (db *bbolt.DB, err error) {
	var file *os.File
	o := &bbolt.Options{
		Timeout:         lockTimeout,
		ReadOnly:        readOnly,
		InitialMmapSize: size,
		FreelistType:    bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			if err != nil {
				return nil, err
			}
			if err := checkFile(f, readOnly); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			file = f
			return f, nil
		},
	}
	err = guarded(log, func() (err error) {
		db, err = bbolt.Open(path, 0o600, o)
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrInUse
	case errors.Is(err, ErrDamaged) && file != nil: // a panic has left it open
		unlock(file)
		return nil, errors.Join(err, file.Close())
	}
	return db, err
}

// checkFile looks at a file that is not locked yet; a process that writes it
// keeps it valid at any time.
func checkFile(f *os.File, readOnly bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: no regular file", ErrNoStore)
	}
	unused, err := isUnused(f, info.Size())
	switch {
	case err != nil:
		return err
	case unused && readOnly:
		return fmt.Errorf("%w: it is empty", ErrNoStore)
	case unused:
		return startOver(f)
	}
	h, err := readHeader(f, info.Size())
	if err != nil {
		return err
	}
	if _, err := readFreePages(f, h); err != nil {
		return err
	}
	return checkRoot(f, h)
}

// startOver empties a file that holds nothing, unless somebody else has it: then
// bbolt waits for the lock and takes it as it will be.
func startOver(f *os.File) error {
	if !lock(f) {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	unused, err := isUnused(f, info.Size())
	switch {
	case err != nil:
		return err
	case !unused: // somebody was faster
		return checkFile(f, false)
	}
	return f.Truncate(0)
}

// isUnused reports whether a file is empty, or is what is left of one whose
// making was cut short: bbolt begins with four pages in one piece, of which
// parts may have reached the disk.
func isUnused(f io.ReaderAt, size int64) (bool, error) {
	pageSize := os.Getpagesize()
	if size > int64(4*pageSize) {
		return false, nil
	}
	begin := make([]byte, size)
	if _, err := f.ReadAt(begin, 0); err != nil {
		return false, err
	}
	for i, page := range slices.Collect(slices.Chunk(begin, pageSize)) {
		if !isFresh(i, page) && len(bytes.TrimLeft(page, "\x00")) > 0 {
			return false, nil
		}
	}
	return true, nil
}

// isFresh reports whether a page is one that a file begins with.
func isFresh(i int, page []byte) bool {
	if i < 2 {
		h, ok := parseMeta(page)
		return ok && h.tx <= 1
	}
	p, ok := parsePage(page)
	return ok && p.id == uint64(i) && p.count == 0
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, syscall.EINVAL) { // some file systems cannot
		return nil
	}
	return err
}
