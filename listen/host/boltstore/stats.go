package boltstore

import (
	"context"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Stats is how a store does.
type Stats struct {
	FileBytes int64            // size of the file
	FreeBytes int64            // of it, what is used again before the file grows
	Records   map[string]int64 // by table; nil when the file cannot be read

	QueueOperations int // taken and not yet ended, as Options.QueueOperations counts
	QueueBytes      int

	Commits       uint64 // that succeeded
	FailedCommits uint64
	Operations    uint64        // in commits that succeeded, with those that were refused
	LargestBatch  int           // operations in one of them
	LastCommit    time.Duration // how long it took
	CommitTime    time.Duration // how long all took together
}

// counters are what the writer counts.
type counters struct {
	mu sync.Mutex
	Stats
}

// committed counts a commit of n operations.
func (c *counters) committed(n int, took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.FailedCommits++
		return
	}
	c.Commits++
	c.Operations += uint64(n)
	c.LargestBatch = max(c.LargestBatch, n)
	c.LastCommit = took
	c.CommitTime += took
}

// Stats returns how the store does, since it was opened. It is cheap.
func (s *Store) Stats() Stats {
	s.stats.mu.Lock()
	st := s.stats.Stats
	s.stats.mu.Unlock()
	st.QueueOperations, st.QueueBytes = s.queue.load()
	if info, err := os.Stat(s.path); err == nil {
		st.FileBytes = info.Size()
	}
	d := s.db.Stats()
	records := make(map[string]int64)
	err := s.view(context.Background(), func(tx *bbolt.Tx) error {
		st.FreeBytes = int64(d.FreePageN+d.PendingPageN) * int64(s.db.Info().PageSize)
		for t := accountTable; t < tables; t++ {
			n, err := decodeCount(tx.Bucket(metaTable.name()).Get(countKey(t)))
			if err != nil {
				return err
			}
			records[t.String()] = int64(n)
		}
		return nil
	})
	if err == nil {
		st.Records = records
	}
	return st
}
