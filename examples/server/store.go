package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/boltstore"
)

// storeFile is where everything is kept that outlives a restart, in the data
// directory; its backup lies beside it.
const storeFile = "tidewaiter.db"

// openStore opens the store and returns what the host and c2s need of it.
func (s *server) openStore(ctx context.Context) (host.Stores, []byte, error) {
	o := boltstore.Defaults()
	o.Log = s.logs.Logger("store")
	store, err := boltstore.Open(filepath.Join(s.data, storeFile), o)
	if err != nil {
		return host.Stores{}, nil, err
	}
	s.store = store
	secret, err := store.Secret(ctx)
	return host.Stores{
		Accounts: store.Accounts(),
		Roster:   store.Roster(),
		Offline:  store.Offline(),
		Last:     store.Last(),
		Private:  store.Private(),
		VCard:    store.VCard(),
		Blocking: store.Blocking(),
	}, secret, err
}

// closeStore commits what is under way.
func (s *server) closeStore() {
	if s.store == nil {
		return
	}
	if err := s.store.Close(); err != nil {
		s.log.Error("the store could not be closed", netserve.KeyErr, err)
	}
}

// beginBackup makes a backup in the background. While it does, others are not
// begun: the file would be theirs, too.
func (s *server) beginBackup() {
	if !s.backingUp.CompareAndSwap(false, true) {
		s.log.Warn("a backup is under way already, no other is begun")
		return
	}
	s.background.begin(func(ctx context.Context) {
		defer s.backingUp.Store(false)
		s.backup(ctx)
	})
}

// backup copies the store, which goes on, to a file beside it.
func (s *server) backup(ctx context.Context) {
	path := filepath.Join(s.data, storeFile+".backup")
	if err := s.store.BackupFile(ctx, path); err != nil {
		s.log.Error("backup failed, an earlier one is as it was", "file", path, netserve.KeyErr, err)
		return
	}
	s.log.Info("backup written", "file", path)
}

// checkStore examines a store for -check-store and returns the exit status.
func checkStore(ctx context.Context, path string, w io.Writer) int {
	r, err := boltstore.Check(ctx, path)
	if err != nil {
		fmt.Fprintln(w, "error:", err)
		return statusError
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, "error:", p)
	}
	if r.Omitted > 0 {
		fmt.Fprintf(w, "and %d more\n", r.Omitted)
	}
	if !r.OK() {
		fmt.Fprintf(w, "%s is damaged: put the last backup in its place\n", path)
		return statusError
	}
	var records int64
	for _, n := range r.Records {
		records += n
	}
	fmt.Fprintf(w, "%s is sound: schema %d, %d pages, %d records\n", path, r.Schema, r.Pages, records)
	return statusOK
}
