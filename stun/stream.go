package stun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// idleLimit is how long a connection may go without a message, from its start on,
// unless it has an allocation.
const idleLimit = 60 * time.Second

// stream is a client on a connection: TCP, TLS, or a unix socket. What is not guarded
// by a lock is of the goroutine that reads.
type stream struct {
	l     *listener
	ctx   context.Context
	conn  net.Conn
	addr  netip.AddrPort
	id    netip.AddrPort // its key
	first [64]byte       // an idle connection has no other buffer
	got   int            // bytes of first that frames has not taken
	in    *wire.Framer   // nil: nothing of the client is here
	heard time.Time      // when its last message came
	had   bool           // there was an allocation
	bound *peerConn      // the connection is one for data from now on

	out outgoing
}

func (s *stream) address() netip.AddrPort { return s.addr }
func (s *stream) key() netip.AddrPort     { return s.id }
func (s *stream) isStream() bool          { return true }

// desk is what it takes to answer the messages that are here.
type desk struct {
	m       wire.Message
	r       request
	unknown []stun.AttrType
	answers []byte
	out     datagram.Outbox
	now     time.Time
	count   tally

	a      *allocation // of the client; it may have ended by now
	looked bool        // for a
}

// desks and framers are for connections on which something comes in.
var (
	desks   = sync.Pool{New: func() any { return new(desk) }}
	framers = sync.Pool{New: func() any { return new(wire.Framer) }}
)

// serve serves the connection until its end, which is that of its allocation, too.
func (s *stream) serve(ctx context.Context) error {
	s.ctx, s.heard = ctx, time.Now()
	s.out.begin(s)
	wait := netserve.Heed(ctx, s.cut)
	defer func() { // after a panic, too
		wait()
		s.out.wait()
		if a := s.l.tuples.get(s.id); a != nil {
			a.close()
		}
		if s.bound != nil {
			s.bound.end()
		}
	}()
	err := s.conn.SetReadDeadline(s.heard.Add(idleLimit))
	for err == nil && s.bound == nil {
		if err = s.fill(); err == nil {
			err = s.take()
		}
	}
	if err == nil {
		return s.carry()
	}
	return s.reason(err)
}

// cut ends the connection.
func (s *stream) cut() { netserve.Cut(s.conn) }

// reason returns what there is to say about the end of a connection.
func (s *stream) reason(err error) error {
	if why := s.out.reason(); why != nil {
		return why
	}
	if err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, new(*net.OpError)) {
		return nil
	}
	return err
}

// fill waits for bytes of the client. Most connections are idle most of the time: so
// the first bytes go where they need no buffer.
func (s *stream) fill() error {
	for {
		err := s.read()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if err := s.prolong(); err != nil {
			return err
		}
	}
}

func (s *stream) read() error {
	if s.in != nil {
		return s.in.Fill(s.conn)
	}
	n, err := s.conn.Read(s.first[:])
	if n == 0 {
		return err
	}
	s.got, s.in = n, framers.Get().(*wire.Framer)
	return s.in.Fill((*opening)(s))
}

// opening reads the bytes that came first.
type opening stream

func (s *opening) Read(p []byte) (int, error) { return copy(p, s.first[:s.got]), nil }

// prolong gives a connection more time whose deadline has come; the deadline is not
// moved for every message.
func (s *stream) prolong() error {
	now := time.Now()
	end := s.heard.Add(idleLimit)
	if s.l.tuples.get(s.id) != nil {
		end = now.Add(idleLimit)
	}
	if !now.Before(end) {
		return os.ErrDeadlineExceeded
	}
	return s.conn.SetReadDeadline(end)
}

// take handles the frames that are here, and sends the answers together.
func (s *stream) take() error {
	if !s.in.Ready() {
		return nil
	}
	d := desks.Get().(*desk)
	d.now, d.looked = time.Now(), false
	err := s.frames(d)
	if s.flush(d); err == nil && s.bound == nil && s.in.Empty() && s.allocation(d) == nil {
		framers.Put(s.in)
		s.in = nil
	}
	d.r.begin(s.l, &d.m, nil, d.now, nil) // it holds nothing of the client
	d.a = nil
	desks.Put(d)
	return err
}

// allocation returns that of the client.
func (s *stream) allocation(d *desk) *allocation {
	if !d.looked {
		d.a, d.looked = s.l.tuples.get(s.id), true
		s.had = s.had || d.a != nil
	}
	return d.a
}

// maxAnswers is how many bytes of answers are held back until others are ready.
const maxAnswers = 16 << 10

func (s *stream) frames(d *desk) error {
	for s.bound == nil {
		kind, b, err := s.in.Next()
		if err != nil {
			return fmt.Errorf("framing: %w", err)
		}
		if kind == wire.Garbage {
			return nil
		}
		s.heard = d.now
		if !s.frame(kind, b, d) {
			d.count.dropped++
		}
		if len(d.answers) > maxAnswers {
			s.flush(d)
		}
	}
	return nil
}

// flush sends what is ready: before something blocks, and at the end.
func (s *stream) flush(d *desk) {
	d.out.Flush()
	if len(d.answers) > 0 {
		s.out.answer(d.answers)
		d.answers = d.answers[:0]
	}
	s.l.srv.stats.add(&d.count)
}

// frame takes one message, or ChannelData. It returns false for what is neither
// answered nor relayed.
func (s *stream) frame(kind wire.Kind, b []byte, d *desk) bool {
	if kind == wire.ChannelData {
		a := s.allocation(d)
		if a != nil {
			a.fromChannel(b, &d.out, d.now, &d.count)
		}
		return a != nil
	}
	if d.m.Parse(b) != nil {
		return false
	}
	switch t := d.m.Type(); {
	case t == stun.BindingRequest:
		s.binding(d)
	case t.Class == stun.ClassRequest:
		s.request(d)
	case t == stun.NewType(stun.MethodSend, stun.ClassIndication):
		a := s.allocation(d)
		if d.unknown = d.m.Unknown(knownInSend, d.unknown[:0]); a == nil || len(d.unknown) > 0 {
			return false
		}
		a.fromSend(&d.m, &d.out, d.now, &d.count)
	default:
		return t == stun.NewType(stun.MethodBinding, stun.ClassIndication) // keeps the connection
	}
	return true
}

func (s *stream) binding(d *desk) {
	if d.unknown = d.m.Unknown(known, d.unknown[:0]); len(d.unknown) == 0 {
		d.answers = wire.AppendBinding(d.answers, &d.m, s.addr, s.l.set.Load().ServerName)
		return
	}
	d.r.begin(s.l, &d.m, nil, d.now, d.answers)
	d.r.failUnknown(d.unknown)
	d.count.refused++
	d.answers = d.r.b.Bytes()
}

// request answers a request that is about relays. It waits for the accounts: a client
// that is looked up has nothing else to say.
func (s *stream) request(d *desk) {
	if d.m.Type().Method == stun.MethodRefresh {
		d.out.Flush() // it may close the relay that has something to send
	}
	r := &d.r
	r.begin(s.l, &d.m, s, d.now, d.answers)
	claim, lookUp := r.admit()
	if lookUp {
		s.flush(d)
		s.resolve(d, claim)
		d.now = time.Now()
	}
	d.looked = false
	s.allocation(d)
	if r.refused {
		d.count.refused++
	}
	if r.answered {
		d.answers = r.b.Bytes()
	}
}

// resolve answers a request that takes a look at the accounts, when it is its turn.
func (s *stream) resolve(d *desk, claim auth.Claim) {
	select {
	case s.l.looking <- struct{}{}:
		defer func() { <-s.l.looking }()
	case <-s.ctx.Done():
		return
	}
	d.r.begin(s.l, &d.m, s, time.Now(), d.answers)
	d.r.resolve(s.ctx, claim)
}
