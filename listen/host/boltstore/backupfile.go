package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

var (
	// ErrBackingUp says that a backup to the same file is under way.
	ErrBackingUp = errors.New("another backup to this file is under way: wait for its end")
	// ErrNoRoom says that a backup would fill a disk.
	ErrNoRoom = errors.New("the disk has too little room: make some or name a file on another one")
)

// backupReserve is how much room a backup leaves on its disk, which may be that
// of the store: 64 MiB. The store grows by 16 MiB at a time.
const backupReserve = 64 << 20

// BackupFile writes a copy of the store to a file that only this user can read,
// in place of one that may be there. The name stands for a whole copy on stable
// storage at any time: until that is done, for the old one. The copy grows in a
// file beside it, .NAME.part, so that the disk needs room for both and for 64 MiB
// more; one that a process has left there that was killed is replaced.
//
// Errors: ErrBackingUp, ErrNoRoom, those of Backup and of the system.
func (s *Store) BackupFile(ctx context.Context, path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("backup to %q: %w", path, err)
		}
	}()
	if s.isOwn(path) {
		return errors.New("that is the store itself: name another file")
	}
	dir, name := filepath.Split(filepath.Clean(path))
	part := filepath.Join(dir, "."+name+".part")
	if _, busy := s.backups.LoadOrStore(part, nil); busy {
		return ErrBackingUp
	}
	defer s.backups.Delete(part)
	f, err := createPart(part)
	if err != nil {
		return err
	}
	if err = s.fill(ctx, f, path); err != nil {
		return errors.Join(err, discard(f))
	}
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// isOwn reports whether a path leads to the store's own file.
func (s *Store) isOwn(path string) bool {
	own, err1 := os.Stat(s.path)
	other, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(own, other)
}

// fill writes a copy to f and gives it the name path.
func (s *Store) fill(ctx context.Context, f *os.File, path string) error {
	if err := s.wantRoom(ctx, filepath.Dir(path)); err != nil {
		return err
	}
	if _, err := s.Backup(ctx, f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if !movesOpen {
		if err := f.Close(); err != nil {
			return err
		}
	}
	return os.Rename(f.Name(), path)
}

// wantRoom returns ErrNoRoom if a copy does not fit into a folder.
func (s *Store) wantRoom(ctx context.Context, dir string) error {
	free, known := s.freeBytes(dir)
	if !known {
		return nil
	}
	var size int64
	if err := s.view(ctx, func(tx *bbolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		return err
	}
	if free < size+backupReserve {
		return fmt.Errorf("%w: %d MiB are free, and the copy has %d MiB and leaves %d MiB", ErrNoRoom, free>>20, size>>20, backupReserve>>20)
	}
	return nil
}

// createPart makes the file in which a copy grows, and locks it where the system
// can, so that another process sees that it is no leftover. Until it has its final
// name it stays locked: whoever wants to make one of this name has to lock the one
// that is there before he removes it.
func createPart(name string) (*os.File, error) {
	if err := removeLeftover(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // follows no link
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, ErrBackingUp
	case err != nil:
		return nil, err
	}
	if !claim(f) || !isAt(f, name) { // somebody has taken it for a leftover
		return nil, errors.Join(ErrBackingUp, f.Close())
	}
	return f, nil
}

// removeLeftover removes what a process that was killed has left in this place,
// or whatever else there is but a folder.
func removeLeftover(name string) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("there is a folder in place of %q: remove it", name)
	}
	if info.Mode().IsRegular() {
		f, err := openPart(name)
		if errors.Is(err, fs.ErrNotExist) { // it has its final name now
			return ErrBackingUp
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if !claim(f) || !isAt(f, name) {
			return ErrBackingUp
		}
	}
	return os.Remove(name)
}

// isAt reports whether a name stands for this file.
func isAt(f *os.File, name string) bool {
	mine, err1 := f.Stat()
	there, err2 := os.Lstat(name)
	return err1 == nil && err2 == nil && os.SameFile(mine, there)
}

// discard removes a file that createPart has made.
func discard(f *os.File) error {
	if !movesOpen {
		_ = f.Close()
	}
	err := os.Remove(f.Name())
	if closeErr := f.Close(); !errors.Is(closeErr, os.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	return err
}
