package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// start queues an operation whose outcome done hears (may be nil), once, in the
// goroutine of the callbacks; within the call if it was not taken.
func (s *Store) start(ctx context.Context, size int, apply func(*batch) error, done func(error)) {
	err := error(ErrReadOnly)
	if !s.options.ReadOnly {
		err = s.queue.put(ctx, &op{apply: apply, done: done, size: opSize + size})
	}
	if err != nil && done != nil {
		done(err)
	}
}

// do applies an operation and waits until it is on stable storage. ctx counts
// only until it was taken.
func (s *Store) do(ctx context.Context, size int, apply func(*batch) error) error {
	if s.options.ReadOnly {
		return ErrReadOnly
	}
	wait := make(chan error, 1)
	if err := s.queue.put(ctx, &op{apply: apply, wait: wait, size: opSize + size}); err != nil {
		return err
	}
	return <-wait
}

// write is the goroutine that commits what is queued, until the queue is closed.
// While it commits, the next batch gathers.
func (s *Store) write() {
	defer s.callbacks.close()
	debug.SetPanicOnFault(true)
	var ops []*op
	for s.queue.wait() {
		ops = s.queue.take(ops[:0], s.options.BatchOperations, s.options.BatchBytes)
		s.commit(ops)
		s.finish(ops)
		clear(ops)
	}
}

// finish hands out the outcome of a batch.
func (s *Store) finish(ops []*op) {
	var call []*op
	count, bytes := 0, 0
	for _, o := range ops {
		switch {
		case o.done != nil:
			call = append(call, o)
			continue
		case o.wait != nil:
			o.wait <- o.err
		}
		count++
		bytes += o.size
	}
	s.queue.ended(count, bytes)
	s.callbacks.add(call)
}

// commit decides the outcome of all operations. One that fails, other than by a
// refusal, is left out, and the rest is tried again.
func (s *Store) commit(ops []*op) {
	for len(ops) > 0 {
		failed, err := s.attempt(ops)
		if failed < 0 {
			for _, o := range ops {
				if err != nil {
					o.err = err
				}
			}
			return
		}
		ops[failed].err = err
		s.options.Log.Error("an operation of the store failed", "path", s.path, "err", err)
		rest := make([]*op, 0, len(ops)-1)
		ops = append(append(rest, ops[:failed]...), ops[failed+1:]...)
	}
}

// attempt applies operations in one transaction and commits it. It returns which
// one failed and why; or -1 and the error that concerns all of them.
func (s *Store) attempt(ops []*op) (failed int, err error) {
	if s.broken != nil {
		return -1, s.broken
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return -1, s.failure(err)
	}
	b := &batch{tx: tx}
	committing := false
	defer func() {
		if p := recover(); p != nil {
			failed, err = b.current, damaged(s.options.Log, p)
			if committing { // pages that it took are not given back
				failed = -1
				s.broken = err
			}
		}
		if !committing || s.broken != nil {
			s.rollback(tx.Rollback)
		}
	}()
	for i, o := range ops {
		b.current = i
		o.err = o.apply(b)
		if r, ok := errors.AsType[refusal](o.err); ok {
			o.err = r.error
		} else if o.err != nil {
			return i, o.err
		}
	}
	if err := b.messages.flush(b); err != nil {
		return b.current, err
	}
	if err := b.tally(); err != nil {
		return -1, s.failure(err)
	}
	if !b.changed {
		return -1, nil
	}
	committing = true
	began, id := time.Now(), tx.ID()
	err = tx.Commit()
	if err != nil {
		err = s.commitFailed(id, err)
	}
	s.stats.committed(len(ops), time.Since(began), err)
	s.report(err)
	return -1, err
}

// rollback ends a transaction that may be in no state to be ended.
func (s *Store) rollback(end func() error) {
	defer func() { _ = recover() }()
	_ = end()
}

// commitFailed explains the error of a commit. Mostly nothing of it is there, and
// the next one may succeed. But when the very last step failed, the transaction
// is there for this process while the disk may have it or not, and the system
// will not tell again: what is built on it would be in doubt too. So that is the
// end of writing.
func (s *Store) commitFailed(id int, err error) error {
	err = s.failure(err)
	tx, beginErr := s.db.Begin(false)
	if beginErr != nil {
		return err
	}
	inDoubt := tx.ID() >= id
	_ = tx.Rollback()
	if inDoubt {
		s.broken = fmt.Errorf("%w; it is unknown what of it is on the disk: check the disk and start the program again", err)
		return s.broken
	}
	return err
}

// failure says which file an error of the system is about.
func (s *Store) failure(err error) error {
	return fmt.Errorf("writing to the store %q: %w", s.path, err)
}

// report logs when commits begin to fail and when they succeed again.
func (s *Store) report(err error) {
	if failing := err != nil; failing != s.failing {
		s.failing = failing
		if failing {
			s.options.Log.Error("the store cannot write: nothing is kept until it can", "path", s.path, "err", err)
		} else {
			s.options.Log.Info("the store writes again", "path", s.path)
		}
	}
}
