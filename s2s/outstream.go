package s2s

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// outStream is a stream that this server has opened.
type outStream struct {
	l       *link
	t       *xmppstream.TCP
	out     *xmppstream.Outbox
	since   time.Time   // it takes stanzas
	took    atomic.Bool // the first stanza that waited has arrived
	managed bool        // by both servers: XEP-0198
	acks    *acks       // nil: not managed
	both    bool        // the remote server may send on it, too: XEP-0288
	authed  bool        // we have proved our domain
}

// Names of elements that are no stanzas, besides those of dialback.
var (
	nameError     = stanza.Name{Space: stanza.NSStream, Local: "error"}
	nameFeatures  = stanza.Name{Space: stanza.NSStream, Local: "features"}
	nameProceed   = stanza.Name{Space: xmppstream.NSTLS, Local: "proceed"}
	nameSuccess   = stanza.Name{Space: xmppstream.NSSASL, Local: "success"}
	nameFailure   = stanza.Name{Space: xmppstream.NSSASL, Local: "failure"}
	nameEnabled   = stanza.Name{Space: xmppstream.NSSM, Local: "enabled"}
	nameNoManaged = stanza.Name{Space: xmppstream.NSSM, Local: "failed"}
	nameAck       = stanza.Name{Space: xmppstream.NSSM, Local: "a"}
	nameAsk       = stanza.Name{Space: xmppstream.NSSM, Local: "r"}
)

// serve reads a stream until it ends, and closes it. The error says why it has
// ended, nil: in order.
func (l *link) serve(s *outStream) error {
	err := netserve.Guard(func() error {
		ctx := l.p.ctx
		if s.acks != nil {
			ctx = s.acks.receipt.Context(ctx)
		}
		for {
			if err := s.next(ctx); err != nil {
				return err
			}
		}
	})
	var panicked *netserve.PanicError
	if errors.As(err, &panicked) {
		l.p.log.Error("stream to a server panicked", netserve.KeyErr, err, "stack", string(panicked.Stack))
		err = &stanza.StreamError{Condition: stanza.StreamInternalServerError, Err: err}
	}
	if s.acks != nil {
		s.acks.end(err == io.EOF)
	}
	ending := s.out.Ending() // by us: nothing has passed for long, or the server is shut down
	// What the peer has not got by now goes with another stream: it has ended this
	// one, or does not keep the rules.
	s.out.Evict(farewell(err))
	_ = s.out.Close(nil)
	_ = s.t.Close(farewell(err)) // in case that the outbox has it no more
	if werr := s.out.Err(); werr != nil && err != io.EOF {
		return werr
	}
	if ending || err == io.EOF {
		return nil
	}
	return err
}

// next takes the next child of the stream.
func (s *outStream) next(ctx context.Context) error {
	in, err := s.t.Read()
	if err != nil && !xmppstream.IsWrongStanza(in, err) {
		return err
	}
	s.l.touch()
	if in.Stanza != nil {
		return s.take(ctx, in.Stanza, err)
	}
	return s.command(in.Nonza)
}

// take takes a stanza of the remote server; wrong says why it is refused, nil if it
// is not.
func (s *outStream) take(ctx context.Context, st *stanza.Stanza, wrong error) error {
	if !s.both || !s.authed {
		return &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: "this stream is for the other direction"}
	}
	if s.acks != nil {
		if !s.acks.begin() {
			return nil
		}
		defer s.acks.taking.Unlock()
	}
	var err error
	if wrong != nil {
		err = s.returns(ctx, st, wrong)
	} else {
		err = s.l.p.srv.receive(ctx, st, s.allows)
	}
	if err == nil && s.acks != nil {
		s.acks.handled()
	}
	return err
}

// returns answers a stanza that is wrong in itself.
func (s *outStream) returns(ctx context.Context, st *stanza.Stanza, wrong error) error {
	if !s.l.p.srv.readdress(ctx, st, s.l.local, s.allows) {
		return nil
	}
	if err := s.l.p.srv.admit(st, s.allows); err != nil {
		return err
	}
	if answer := errorFor(st, wrong); answer != nil {
		return s.l.p.route(ctx, answer)
	}
	return nil
}

// allows reports whether the remote server may send for a pair of domains.
func (s *outStream) allows(pr pair) bool { return pr == s.l.pair }

// command takes an element that is no stanza.
func (s *outStream) command(e *stanza.Element) error {
	switch {
	case e.Name == nameError:
		return streamErrorOf(e)
	case e.Name == dbResult || e.Name == dbVerify:
		return s.dialback(e)
	case e.Name == nameAck:
		h, err := xmppstream.ParseAck(e)
		if err != nil {
			return err
		}
		return s.out.Acked(h)
	case e.Name == nameAsk && s.acks != nil:
		s.acks.answer()
		return nil
	}
	return xmppstream.Unsupported(e, "server")
}

// dialback takes an answer to a question of ours, and what the remote server asks.
// A key for this stream it gets back: the id of the stream is its own choice, and
// would prove nothing.
// See XEP-0220, sections 2.2.2, 2.5 and 3.1.
func (s *outStream) dialback(e *stanza.Element) error {
	d, pr, err := parseDialback(e)
	if err != nil {
		return err
	}
	var answer dialback
	switch {
	case d.Type == "" && e.Name == dbVerify:
		answer = s.l.p.srv.verified(d, pr)
	case d.Type == "":
		answer = d.answer(stanza.TypeError, &stanza.Error{Condition: stanza.ResourceConstraint, Text: "open another stream for this"})
	case e.Name == dbVerify:
		s.l.answered(d, pr)
		return nil
	default:
		return unsolicited(d)
	}
	if err := s.out.Send(answer.String()); errors.Is(err, stanza.ErrQueueFull) {
		return &stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "remote server does not read"}
	}
	return nil
}

// logEnd logs the end of a stream.
func (l *link) logEnd(s *outStream, why error) {
	peer := s.t.Peer().Addr
	if why == nil {
		l.p.log.Info("stream to a server has ended", "local", l.local, "remote", l.remote, "peer", peer)
		return
	}
	l.p.trouble.Log(context.Background(), slog.LevelInfo, "stream to a server was lost",
		"local", l.local, "remote", l.remote, "peer", peer, "step", stepStream, netserve.KeyErr, why)
}
