package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	berrors "go.etcd.io/bbolt/errors"
)

// Backup writes a copy of the store, as it is at this moment, and returns its
// size. Reading and writing go on; but while it runs, space in the file is not
// used again, so w should not be slow. Errors: ErrClosed, those of ctx and w.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) {
	tx, err := s.db.Begin(false)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return 0, ErrClosed
	}
	if err != nil {
		return 0, err
	}
	stoppable := &stoppable{Writer: w, ctx: ctx, closing: s.closing}
	n, err := tx.WriteTo(stoppable)
	if stoppable.err != nil { // bbolt keeps only its text
		err = stoppable.err
	}
	return n, errors.Join(err, tx.Rollback())
}

// stoppable is a writer that fails when it shall stop. It keeps its error.
type stoppable struct {
	io.Writer
	ctx     context.Context
	closing <-chan struct{}
	err     error
}

func (w *stoppable) Write(b []byte) (n int, err error) {
	select {
	case <-w.closing:
		err = ErrClosed
	case <-w.ctx.Done():
		err = w.ctx.Err()
	default:
		n, err = w.Writer.Write(b)
	}
	w.err = err
	return n, err
}

// BackupFile writes a copy of the store to a file that only this user can read,
// in place of one that may be there. The name stands for a whole copy on stable
// storage at any time: until that is done, for the old one.
func (s *Store) BackupFile(ctx context.Context, path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("backup to %q: %w", path, err)
		}
	}()
	if s.isOwn(path) {
		return errors.New("that is the store itself: name another file")
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = s.Backup(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// isOwn reports whether a path leads to the store's own file.
func (s *Store) isOwn(path string) bool {
	own, err1 := os.Stat(s.path)
	other, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(own, other)
}
