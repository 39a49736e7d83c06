package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var (
	// ErrClosed says that a store is closed.
	ErrClosed = errors.New("the store is closed")
	// ErrReadOnly says that a store was opened for reading.
	ErrReadOnly = errors.New("the store is open for reading only")
	// ErrBusy says that the queue was full for ten seconds: the disk is stuck.
	ErrBusy = errors.New("the store's queue is full")
	// ErrInUse says that another process, or another Store, has the file open.
	ErrInUse = errors.New("the file is in use by another process: stop it first")
	// ErrDamaged says that what the file holds makes no sense.
	ErrDamaged = errors.New("the store is damaged: restore it from a backup")
	// ErrNoStore says that a file is something else.
	ErrNoStore = errors.New("the file is not a store of this program: name another one")
	// ErrNewer says that a newer version of the program has written the file.
	ErrNewer = errors.New("the file is of a newer version: use that version or restore a backup of this one")
)

// Options say how a store is opened.
type Options struct {
	// Log gets warnings and errors; nil: nothing is logged.
	Log *slog.Logger

	// QueueOperations and QueueBytes bound the changes that are taken and not
	// yet on stable storage and told to whoever wants to know, each; 0: no
	// bound. Callers wait while the queue is full, at most ten seconds.
	QueueOperations int
	QueueBytes      int

	// BatchOperations and BatchBytes bound what one transaction commits; 0: all
	// that is queued. One operation always fits.
	BatchOperations int
	BatchBytes      int

	// VerifyPages is how many bytes a file may have for Open to read all of its
	// pages and refuse one that is damaged; 0: none is read. bbolt trusts the pages
	// of its file: one that makes no sense can end the process at any time. A
	// gigabyte takes a second or two, and longer when it comes from a slow disk;
	// Check reads files of any size.
	VerifyPages int64

	// ReadOnly lets nothing be changed. Several processes may read a file at
	// the same time, none while one may write.
	ReadOnly bool
}

// Defaults returns the options that suit most servers: a queue of 65,536
// operations and 64 MiB, transactions of 8,192 operations and 16 MiB, and files of
// up to 1 GiB whose pages are read before they are used.
func Defaults() Options {
	return Options{
		QueueOperations: 1 << 16, QueueBytes: 64 << 20,
		BatchOperations: 1 << 13, BatchBytes: 16 << 20,
		VerifyPages: 1 << 30,
	}
}

// Store keeps in one file what a host stores of its users. It is safe for
// concurrent use.
type Store struct {
	path    string
	options Options
	db      *bbolt.DB

	queue     *queue
	callbacks *callbacks
	writing   sync.WaitGroup // the writer
	closing   chan struct{}  // closed by Close
	closeOnce sync.Once
	closeErr  error

	stats counters

	backups   sync.Map                               // names of the files that BackupFile fills
	freeBytes func(dir string) (n int64, known bool) // freeBytes but for tests

	// These are the writer's own.
	broken  error        // why nothing can be written any more
	failing bool         // the last commit failed
	expired host.GrantID // the grant that Expire has looked at last
}

// Open opens the store in the file of this path, and makes it when it does not
// exist or is empty. Files of earlier versions are brought up to date. It waits
// up to a second for another process that is about to let the file go.
//
// Errors: ErrInUse, ErrDamaged, ErrNoStore, ErrNewer, those of the system. A
// file that cannot be opened stays as it is.
func Open(path string, o Options) (*Store, error) {
	return open(path, o, migrations())
}

func open(path string, o Options, steps []migration) (*Store, error) {
	s := newStore(path, o)
	if err := s.open(steps); err != nil {
		return nil, fmt.Errorf("store %q: %w", path, err)
	}
	s.writing.Go(s.write)
	go s.callbacks.run()
	return s, nil
}

// newStore returns a store that is not open.
func newStore(path string, o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q := newQueue(o.QueueOperations, o.QueueBytes)
	return &Store{
		path: path, options: o, queue: q, callbacks: newCallbacks(q), closing: make(chan struct{}), freeBytes: freeBytes,
	}
}

// endOfCallbacks is how long Close waits for callbacks.
const endOfCallbacks = 5 * time.Second

// Close takes no more changes, commits what is queued, closes the file and waits
// until all callbacks have returned, but no longer than five seconds: after that
// its error says so. Backups that are under way fail.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	close(s.closing)
	s.queue.close()
	s.writing.Wait()
	err := s.db.Close()
	timeout := time.NewTimer(endOfCallbacks)
	defer timeout.Stop()
	select {
	case <-s.callbacks.ended:
		return err
	case <-timeout.C:
		return errors.Join(err, errors.New("a callback of the store does not return"))
	}
}

// view reads within a transaction. It must be short: pages that it sees are not
// used again meanwhile.
func (s *Store) view(ctx context.Context, f func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := guarded(s.options.Log, func() error { return s.db.View(f) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// guarded calls what reads pages of the file. bbolt panics when they make no
// sense, and the system says by a fault that they cannot be read; both become
// ErrDamaged.
func guarded(log *slog.Logger, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged(log, p)
		}
	}()
	return f()
}

// damaged makes an error of a panic.
func damaged(log *slog.Logger, p any) error {
	log.Error("reading the store failed", "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("%w (%v)", ErrDamaged, p)
}

// bad says what of whom could not be decoded; nil stays nil.
func (s *Store) bad(t table, user stanza.JID, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store %q: %s of %q: %w: %w", s.path, t, user.Bare(), ErrDamaged, err)
}
