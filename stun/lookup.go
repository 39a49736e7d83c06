package stun

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// maxLookups is how many requests of one socket may wait for accounts at once. Other
// datagrams are dropped meanwhile: their clients send them again. Other streams wait.
const maxLookups = 128

// maxAddressLookups is how many of them may be of one client address.
const maxAddressLookups = 16

// lookups are the requests of a datagram socket that wait for accounts, each in a
// goroutine of its own: one for each client.
type lookups struct {
	ctx     context.Context // ends with the listener
	end     context.CancelFunc
	mu      sync.Mutex
	pending map[netip.AddrPort]struct{}
	ofAddr  map[netip.Addr]int
}

func (q *lookups) begin(ctx context.Context) {
	q.ctx, q.end = context.WithCancel(ctx)
	q.pending = make(map[netip.AddrPort]struct{})
	q.ofAddr = make(map[netip.Addr]int)
}

// begins has a request answered that claims to be of somebody. The request and its
// message remain the caller's. It returns false when there are too many, or one of
// the client already.
func (q *lookups) begins(l *listener, r *request, claim auth.Claim) bool {
	from := r.client.address()
	if !q.enter(from) {
		return false
	}
	raw, c := bytes.Clone(r.m.Raw()), r.client
	l.running.Go(func() {
		own := new(request)
		err := netserve.Guard(func() error {
			if m := new(wire.Message); m.Parse(raw) == nil {
				own.begin(l, m, c, time.Now(), nil)
				own.resolve(q.ctx, claim)
			}
			return nil
		})
		q.leave(from) // before the answer, on which the client's next request may follow at once
		if err != nil {
			l.failed(err, from)
			return
		}
		own.send()
	})
	return true
}

func (q *lookups) enter(from netip.AddrPort) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, twice := q.pending[from]; twice || len(q.pending) == maxLookups || q.ofAddr[network(from.Addr())] == maxAddressLookups {
		return false
	}
	q.pending[from] = struct{}{}
	q.ofAddr[network(from.Addr())]++
	return true
}

func (q *lookups) leave(from netip.AddrPort) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.pending, from)
	of := network(from.Addr())
	if q.ofAddr[of]--; q.ofAddr[of] == 0 {
		delete(q.ofAddr, of)
	}
}
