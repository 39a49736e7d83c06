package s2s

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

const (
	maxLinks       = 10000 // of a pool
	maxConnections = 32    // of a pair, whatever the rules say
	sweepEvery     = 5 * time.Second
)

// pool has the streams from this server to others: a link for each pair of domains
// or, with more than one connection, several.
type pool struct {
	srv     *Server
	host    *Host
	log     *slog.Logger
	trouble *netserve.Sampler // in front of log, for what peers and users can cause
	dial    dialFunc
	random  func() float64
	most    int // links

	seed   maphash.Seed
	shards [32]shard

	ctx     context.Context // of what runs
	cancel  context.CancelFunc
	running sync.WaitGroup
	closed  atomic.Bool
	adopted adoptions

	openings openings

	links   atomic.Int64
	streams atomic.Int64
	asking  atomic.Int64 // calls of verify
	unsent  atomic.Int64 // stanzas returned since shutdown began

	mu    sync.Mutex  // guards timer, and the start of what runs
	timer *time.Timer // of the sweeper; nil: nothing to sweep
}

// shard is a part of a pool's links.
type shard struct {
	mu    sync.RWMutex
	links map[linkKey]*link
}

// linkKey tells links apart.
type linkKey struct {
	pair
	index int // of several connections
}

func newPool(s *Server) *pool {
	p := &pool{
		srv: s, host: &s.h, log: s.log, trouble: netserve.NewSampler(s.log, "further streams to servers failed"),
		dial: s.h.Dial, random: rand.Float64, most: maxLinks, seed: maphash.MakeSeed(),
	}
	if p.dial == nil {
		p.dial = dialTCP
	}
	for i := range p.shards {
		p.shards[i].links = make(map[linkKey]*link)
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Outgoing returns how many streams this server has opened that take stanzas.
func (s *Server) Outgoing() int { return int(s.out.streams.Load()) }

// Queued returns how many stanzas wait for streams that this server has opened or
// opens. It takes time in proportion to the number of remote domains.
func (s *Server) Queued() (n int) {
	for _, l := range s.out.all() {
		n += l.queued()
	}
	return n
}

// route does what Server.Route says.
func (p *pool) route(ctx context.Context, st *stanza.Stanza) error {
	form, refused := outgoing(st)
	if refused != nil {
		return p.giveBack(ctx, st, refused)
	}
	k := linkKey{pair: pair{st.From.Domain(), st.To.Domain()}}
	c := p.srv.settings.Load()
	if n := c.connections(k.pair); n > 1 {
		k.index = int(maphash.String(p.seed, st.From.Bare().String()) % uint64(n))
	}
	if l := p.find(k); l != nil && c.allows(k.pair) && !p.closed.Load() && l.deliver(ctx, form) {
		return nil
	}
	if err := p.submit(ctx, c, k, form); err != nil {
		return p.giveBack(ctx, st, err)
	}
	return nil
}

// submit gives a stanza to the link with a key, made if need be.
func (p *pool) submit(ctx context.Context, c *Settings, k linkKey, st *stanza.Stanza) *stanza.Error {
	if !c.allows(k.pair) {
		return errDenied
	}
	for {
		l, err := p.obtain(k)
		if err != nil {
			return err
		}
		if err, gone := l.put(ctx, st); !gone {
			return err
		}
	}
}

func (p *pool) shardOf(k linkKey) *shard {
	return &p.shards[maphash.String(p.seed, k.remote)%uint64(len(p.shards))]
}

// find returns a link, nil if there is none.
func (p *pool) find(k linkKey) *link {
	s := p.shardOf(k)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.links[k]
}

// obtain returns a link, made if there is none. It may be gone by the time that it
// is used.
func (p *pool) obtain(k linkKey) (*link, *stanza.Error) {
	if p.closed.Load() {
		return nil, errStopping
	}
	s := p.shardOf(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.links[k]; l != nil {
		return l, nil
	}
	if p.links.Add(1) > int64(p.most) && !p.displace(s) {
		p.links.Add(-1)
		return nil, errTooManyLinks
	}
	// The domains are parts of a stanza, all of which they would keep.
	k.pair = pair{strings.Clone(k.local), strings.Clone(k.remote)}
	l := &link{p: p, linkKey: k}
	s.links[k] = l
	p.awaken()
	return l, nil
}

// displace removes a link on which nothing happens, such as one to a server that
// could not be reached lately, for another one. The caller holds the shard's mu.
func (p *pool) displace(s *shard) bool {
	for k, l := range s.links {
		l.mu.Lock()
		rests := l.rests()
		l.gone = l.gone || rests
		l.mu.Unlock()
		if rests {
			delete(s.links, k)
			p.links.Add(-1)
			return true
		}
	}
	return false
}

// all returns the links of the moment.
func (p *pool) all() (list []*link) {
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.RLock()
		for _, l := range s.links {
			list = append(list, l)
		}
		s.mu.RUnlock()
	}
	return list
}

// begin reports whether something new may run; whoever runs it calls running.Done.
func (p *pool) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return false
	}
	p.running.Add(1)
	return true
}

// awaken lets the sweeper run.
func (p *pool) awaken() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil && !p.closed.Load() {
		p.timer = time.AfterFunc(sweepEvery, p.sweep)
	}
}

// sweep closes streams that have been silent for long, and forgets links that are
// of no use any more. It is the one timer of all links, and does not run while
// there is none.
func (p *pool) sweep() {
	now := time.Now()
	for _, l := range p.all() {
		if l.closeIfIdle(now) {
			p.forget(l, now)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.timer == nil || p.closed.Load():
	case p.links.Load() == 0:
		p.timer = nil
	default:
		p.timer.Reset(sweepEvery)
	}
}

// forget removes a link, unless it is of use again.
func (p *pool) forget(l *link, now time.Time) {
	s := p.shardOf(l.linkKey)
	s.mu.Lock()
	defer s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.useless(now) {
		l.gone = true
		delete(s.links, l.linkKey)
		p.links.Add(-1)
	}
}

// errNotSent is the cause of the end of what runs when Shutdown's time is over.
var errNotSent = errors.New("server is being shut down")

// shutdown does what Server.Shutdown says.
func (p *pool) shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.closed.Store(true)
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.mu.Unlock()
	for _, l := range p.all() {
		l.finish()
	}
	done := make(chan struct{})
	go func() {
		p.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	p.cancel()
	<-done
	p.trouble.Flush()
	if p.unsent.Load() > 0 {
		return context.Cause(ctx)
	}
	return nil
}

// connections returns how many streams a pair may have.
func (c *Settings) connections(pr pair) int {
	if c.MaxConnections == nil || c.MaxConnectionsPerNode == nil {
		return 1
	}
	n := maxConnections
	for _, rule := range [...]shaper.Rule{c.MaxConnections, c.MaxConnectionsPerNode} {
		limit, ok := rule.Limit(acl.Subject{Server: pr.remote, Host: pr.local})
		if !ok {
			limit = 1
		}
		n = min(n, max(limit, 1))
	}
	return n
}
