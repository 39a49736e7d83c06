//go:build unix

package boltstore

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// onDisk opens a store beside the sources: folders for temporary files may be in
// memory.
func onDisk(b *testing.B, o Options) *Store {
	b.Helper()
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	o.Log = slog.New(slog.DiscardHandler)
	s, err := Open(filepath.Join(dir, "store.db"), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

func users(b *testing.B, n int) []stanza.JID {
	b.Helper()
	list := make([]stanza.JID, n)
	for i := range list {
		j, err := stanza.NewJID(fmt.Sprintf("user%06d", i), "chat.example", "")
		if err != nil {
			b.Fatal(err)
		}
		list[i] = j
	}
	return list
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report adds what a run of adds did.
func report(b *testing.B, s *Store, before time.Duration) {
	st := s.Stats()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "adds/s")
	b.ReportMetric(float64(st.Operations)/float64(max(st.Commits, 1)), "ops/commit")
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

func BenchmarkOfflineAdd(b *testing.B) {
	xml := "<message xmlns='jabber:client' from='juliet@chat.example/balcony' to='romeo@chat.example'>" + strings.Repeat("x", 300-96) + "</message>"
	for _, tt := range []struct {
		name                   string
		senders, users, window int
	}{
		{"senders=1", 1, 1, 1},
		{"senders=50", 50, 50, 1},
		{"senders=50/window=20", 50, 50, 20},
		{"senders=50/window=200", 50, 50, 200},
		{"senders=50/window=200/users=10000", 50, 10000, 200},
	} {
		b.Run(tt.name, func(b *testing.B) {
			s := onDisk(b, Defaults())
			to := users(b, tt.users)
			before := cpu()
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range tt.senders {
				wg.Go(func() {
					window := make(chan struct{}, tt.window)
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						window <- struct{}{}
						s.Offline().Add(context.Background(), to[int(i*7919)%len(to)], xml, offline.Limits{}, func(_ uint64, err error) {
							if err != nil {
								b.Error(err)
							}
							<-window
						})
					}
					for range tt.window {
						window <- struct{}{}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			report(b, s, before)
		})
	}
}

func BenchmarkAccountGet(b *testing.B) {
	s := onDisk(b, Defaults())
	all := users(b, 1000)
	for _, j := range all {
		s.start(b.Context(), 0, func(t *batch) error {
			return t.put(accountTable, accountKey(j.Domain(), j.Local()), encodeAccount(host.Account{JID: j, HA1MD5: make([]byte, 16)}))
		}, nil)
	}
	if err := s.VCard().Set(b.Context(), all[0], "<vCard/>"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			if _, err := s.Accounts().Get(b.Context(), all[n%len(all)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// Messages come and go: each is stored, read and deleted.
func BenchmarkOfflineCycle(b *testing.B) {
	s := onDisk(b, Defaults())
	xml := "<message>" + strings.Repeat("x", 280) + "</message>"
	var wg sync.WaitGroup
	before := cpu()
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	for _, user := range users(b, 50) {
		wg.Go(func() {
			for next.Add(20) <= int64(b.N)+20 {
				var added sync.WaitGroup
				for range 20 {
					added.Add(1)
					s.Offline().Add(context.Background(), user, xml, offline.Limits{Messages: 100}, func(uint64, error) { added.Done() })
				}
				added.Wait()
				list, _, err := s.Offline().List(context.Background(), user, 0, offline.Limits{})
				if err != nil || len(list) == 0 {
					b.Error(len(list), err)
				}
				keys := make([]uint64, len(list))
				for n, m := range list {
					keys[n] = m.Key
				}
				s.Offline().Delete(context.Background(), user, keys, nil)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	report(b, s, before)
}

// A roster of 5,000 items and a block list of 1,000 are read back, with short
// names and with long ones that are not ASCII.
func BenchmarkReadAddresses(b *testing.B) {
	for _, bb := range []struct{ name, local string }{{"ascii", "user"}, {"long", strings.Repeat("ж", 500)}} {
		s := onDisk(b, Defaults())
		ctx, user := b.Context(), users(b, 1)[0]
		var list []stanza.JID
		var setting sync.WaitGroup
		for i := range 5000 {
			j, err := stanza.NewJID(fmt.Sprintf("%s%04d", bb.local, i), "chat.example", "")
			if err != nil {
				b.Fatal(err)
			}
			list = append(list, j)
			setting.Go(func() {
				if _, err := s.Roster().Set(ctx, user, roster.Item{Contact: j, Listed: true}, 0); err != nil {
					b.Error(err)
				}
			})
		}
		setting.Wait()
		if _, err := s.Blocking().CompareAndSet(ctx, user, blocking.List{Blocked: list[:1000]}); err != nil {
			b.Fatal(err)
		}
		b.Run(bb.name+"/roster", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if list, err := s.Roster().List(ctx, user, stanza.JID{}, 1<<20); err != nil || len(list) != 5000 {
					b.Fatal(len(list), err)
				}
			}
		})
		b.Run(bb.name+"/blocked", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if l, err := s.Blocking().Get(ctx, user); err != nil || len(l.Blocked) != 1000 {
					b.Fatal(len(l.Blocked), err)
				}
			}
		})
	}
}
