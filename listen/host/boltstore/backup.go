package boltstore

import (
	"context"
	"errors"
	"io"

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
