package s2s

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// step is a part of the way to a stream, for the log.
type step string

const (
	stepDNS         step = "dns"
	stepConnection  step = "connection"
	stepStream      step = "stream"
	stepStartTLS    step = "starttls"
	stepTLS         step = "tls"
	stepCertificate step = "certificate"
	stepSASL        step = "sasl"
	stepDialback    step = "dialback"
	stepShutdown    step = "shutdown"
)

// text says to the sender of a stanza what has failed.
func (s step) text() string {
	switch s {
	case stepDNS:
		return "looking up the remote server failed"
	case stepConnection:
		return "connecting to the remote server failed"
	case stepStartTLS:
		return "encryption could not be agreed on with the remote server"
	case stepTLS:
		return "the TLS handshake with the remote server failed"
	case stepCertificate:
		return "the certificate of the remote server is not trusted"
	case stepSASL, stepDialback:
		return "authentication with the remote server failed"
	case stepShutdown:
		return "this server is being shut down"
	}
	return "the stream to the remote server failed"
}

// failure says why there is no stream to a server.
type failure struct {
	step  step
	peer  netip.AddrPort // not valid: it did not get that far
	err   error          // for the log
	final bool           // the server has decided, or our policy: other addresses would do the same
}

// forSender returns the error for the senders of stanzas.
func (f *failure) forSender() *stanza.Error {
	switch {
	case errors.Is(f.err, errNoServer):
		return &stanza.Error{Condition: stanza.RemoteServerNotFound, Text: "there is no such server"}
	case errors.Is(f.err, errHostUnknown):
		return &stanza.Error{Condition: stanza.RemoteServerNotFound, Text: "the remote server does not serve this domain"}
	}
	return &stanza.Error{Condition: stanza.RemoteServerTimeout, Text: f.step.text()}
}

// forPeer returns the error for a server that says it is the one that could not be
// reached: not more than that, as it may be anybody who wants to know what we reach.
func (f *failure) forPeer() *stanza.Error {
	return &stanza.Error{Condition: f.forSender().Condition}
}

// What is returned at once.
var (
	errDenied          = &stanza.Error{Condition: stanza.Forbidden, Text: "communication with this domain is not allowed"}
	errQueueFull       = &stanza.Error{Condition: stanza.ResourceConstraint, Text: "too much waits for the remote server"}
	errTooManyOpenings = &stanza.Error{Condition: stanza.ResourceConstraint, Text: "you are writing to too many other servers at once"}
	errTooManyLinks    = &stanza.Error{Condition: stanza.ResourceConstraint, Text: "there are too many connections to other servers"}
	errStopping        = &stanza.Error{Condition: stanza.RemoteServerTimeout, Text: stepShutdown.text()}
	errLost            = &stanza.Error{Condition: stanza.RemoteServerTimeout, Text: "connection was lost before the stanza was acknowledged"}
)

// errHostUnknown says that a server does not serve the domain that it was looked
// up for.
var errHostUnknown = &stanza.StreamError{Condition: stanza.StreamHostUnknown}

// peerError is a stream error that a server has sent.
type peerError struct{ *stanza.StreamError }

func (e peerError) Error() string { return "remote server ended the stream: " + e.StreamError.Error() }

func (e peerError) Unwrap() error { return e.StreamError }

// streamErrorOf reads <stream:error/>.
// See RFC 6120, section 4.9.2.
func streamErrorOf(e *stanza.Element) peerError {
	end := &stanza.StreamError{Condition: stanza.StreamUndefinedCondition}
	for _, c := range e.Children {
		switch {
		case c.Name.Space != stanza.NSStreams:
		case c.Name.Local == "text":
			end.Text = xmppstream.Clip(c.Text)
		default:
			end.Condition = stanza.StreamCondition(xmppstream.Clip(c.Name.Local))
		}
	}
	return peerError{end}
}

// isFinal reports whether a stream error says that other addresses of a domain are
// not worth a try.
func (e peerError) isFinal() bool {
	switch e.Condition {
	case stanza.StreamHostUnknown, stanza.StreamHostGone, stanza.StreamNotAuthorized, stanza.StreamPolicyViolation,
		stanza.StreamInvalidFrom, stanza.StreamImproperAddressing, stanza.StreamUnsupportedVersion:
		return true
	}
	return false
}

// farewell is xmppstream.Reason for a stream that the peer may have ended itself, with
// an error.
func farewell(err error) *stanza.StreamError {
	if errors.As(err, new(peerError)) {
		return nil
	}
	return xmppstream.Reason(err)
}

// backoff is what is known of a server that could not be reached.
type backoff struct {
	failures int
	until    time.Time     // nothing is tried before
	forget   time.Time     // from then on it is as if there had been no failure
	answer   *stanza.Error // to stanzas that come before until
}

// firstDelay is about how long a server is left alone after a first failure.
const firstDelay = time.Second

// fail notes a failure and returns the time until the next try: it doubles from
// one failure to the next, and is a random one between half of that and all of it.
func (b *backoff) fail(now time.Time, most time.Duration, random float64, answer *stanza.Error) time.Duration {
	if now.After(b.forget) {
		b.failures = 0
	}
	longest := max(most, 0)
	delay := longest
	if b.failures < 30 {
		delay = min(firstDelay<<b.failures, longest)
	}
	b.failures++
	wait := delay/2 + time.Duration(random*float64(delay/2))
	b.until, b.answer = now.Add(wait), answer
	b.forget = b.until.Add(delay)
	return wait
}

// refuses returns the answer to a stanza that comes now, nil if a server may be
// tried.
func (b *backoff) refuses(now time.Time) *stanza.Error {
	if now.Before(b.until) {
		return b.answer
	}
	return nil
}

// giveBack answers a stanza that was not sent. Only senders here get an answer,
// and errors and results get none.
func (p *pool) giveBack(ctx context.Context, st *stanza.Stanza, why *stanza.Error) error {
	returns := st.MayBounce() || st.Kind == stanza.Presence && (st.Type == "" || st.Type == stanza.TypeSubscribe)
	if !returns || st.Kept != 0 || !p.host.Domains.Serves(st.From.Domain()) {
		return nil
	}
	if err := p.host.Router.Route(ctx, st.ErrorReply(why)); err != nil {
		return fmt.Errorf("returning a stanza: %w", err)
	}
	return nil
}
