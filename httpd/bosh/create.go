package bosh

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// creationLimits are those of the request for a session.
var creationLimits = xmlstream.Limits{Bytes: 8 << 10, Elements: 32}

// create makes a session, or says why not.
func (h *Handler) create(x *reader, r *http.Request, i httpd.Info) (*session, *request, condition) {
	err := x.readRest(r.Body, creationLimits.Bytes)
	switch {
	case err != nil:
		return nil, nil, conditionOf(err)
	case x.body.err != nil, x.body.terminate:
		return nil, nil, badRequest
	}
	s, c := h.newSession(&x.body, i)
	if c != "" {
		return nil, nil, c
	}
	p := x.request()
	p.add(item{header: s.header(&x.body)})
	if s.prebinds {
		s.prelude(p)
	}
	if err := s.elements(p, x, creationLimits); err != nil {
		return nil, nil, conditionOf(err)
	}
	s.own = !httpd.Served(r)
	if c := h.add(s); c != "" {
		return nil, nil, c
	}
	s.begin(p)
	if s.own {
		go func() {
			defer h.running.Done()
			s.run(h.ctx)
		}()
	} else {
		httpd.Go(r, s.run, func() { s.cut(systemShutdown) })
	}
	return s, p, ""
}

// newSession makes a session of the request for it (XEP-0124, section 7.1), or says why
// there is none.
func (h *Handler) newSession(x *body, i httpd.Info) (*session, condition) {
	if len(x.to) == 0 {
		return nil, improperAddressing
	}
	to, err := stanza.ParseJID(string(x.to))
	if err != nil {
		return nil, improperAddressing
	}
	o := h.options.Load().For(to.Domain())
	ver, ok := version(x.ver)
	mediaType, fine := mediaType(x.content)
	switch {
	case !ok, !fine, x.rid < 1, x.rid > maxRID:
		return nil, badRequest
	case o == nil:
		return nil, hostUnknown
	}
	s := &session{
		h: h, sid: rand.Text(), ver: ver, legacy: len(x.ver) == 0, acks: x.ack != none, mediaType: mediaType,
		to: string(x.to), lang: string(x.lang), version: "1.0", // XEP-0206, section 9
		prebinds:   o.Prebind,
		peer:       stanza.Peer{Name: "bosh", Secure: i.Secure},
		wait:       maxWait,
		hold:       maxHold,
		inactivity: seconds(o.MaxInactivity), maxPause: seconds(o.MaxPause), maxConcat: int(max(o.MaxConcat, 0)),
		top: x.rid, processed: x.rid, answered: x.rid - 1, acked: x.rid - 1,
		closed: make(chan struct{}),
	}
	if i.Client.IsValid() {
		s.peer.Addr = i.Peer()
	}
	if x.wait != none {
		s.wait = min(time.Duration(min(x.wait, maxSeconds))*time.Second, maxWait)
	}
	if x.hold != none {
		s.hold = int(min(x.hold, maxHold))
	}
	s.requests = int64(s.hold) + 1
	if s.polls() { // XEP-0124, section 12
		s.inactivity += 2 * polling
	}
	s.patience = s.inactivity
	s.inbox.L, s.outbox.L = &s.mu, &s.mu
	s.keys.check(nil, x.newKey)
	s.SetLimits(stanza.Limits{})
	return s, ""
}

// begin starts the session with the request that has created it.
func (s *session) begin(p *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	p.at, p.done = now, make(chan struct{})
	s.prev = poll{rid: p.rid, at: now}
	s.enter(p, now)
	s.held = append(s.held, p)
	s.receive(p.items, p.size)
	p.items = nil
	s.arm(now)
}

// header returns the header of a stream that a body opens.
func (s *session) header(x *body) *stanza.Header {
	h := &stanza.Header{To: s.to, From: string(x.from), Lang: s.lang, Version: s.version, Namespace: stanza.NSClient}
	if len(x.to) > 0 {
		h.To = string(x.to)
	}
	if len(x.lang) > 0 {
		h.Lang = string(x.lang)
	}
	if len(x.version) > 0 {
		h.Version = string(x.version)
	}
	return h
}

// seconds returns a time in whole seconds, as it is told to clients.
func seconds(d time.Duration) time.Duration {
	return max((d + time.Second - 1).Truncate(time.Second), time.Second)
}

// The version of BOSH that this is.
const major, minor = 1, 11

// version returns the lower of the client's version and ours. It returns false for what
// is none.
func version(ver []byte) (string, bool) {
	if len(ver) == 0 {
		return "", true
	}
	a, b, ok := strings.Cut(string(ver), ".")
	m, err := strconv.ParseUint(a, 10, 16)
	n, err2 := strconv.ParseUint(b, 10, 16)
	if !ok || err != nil || err2 != nil {
		return "", false
	}
	if m > major || m == major && n > minor {
		m, n = major, minor
	}
	return fmt.Sprintf("%d.%d", m, n), true
}

// mediaType returns the content type of the answers to a client that wants this one. It
// returns false for what is none.
func mediaType(content []byte) ([]string, bool) {
	if len(content) == 0 || bytes.EqualFold(content, []byte(textXML)) {
		return xmlContent, true
	}
	t, params, err := mime.ParseMediaType(string(content))
	if err != nil || !strings.Contains(t, "/") {
		return nil, false
	}
	text := mime.FormatMediaType(t, params)
	return []string{text}, text != ""
}

// run serves the session.
func (s *session) run(ctx context.Context) {
	err := netserve.Guard(func() error { return s.h.h.Serve(ctx, s) })
	s.finish()
	s.complain(ctx)
	var p *netserve.PanicError
	switch {
	case errors.As(err, &p):
		s.h.log.ErrorContext(ctx, "session panicked", netserve.KeyPeer, s.peer.Addr.Addr().String(), netserve.KeyErr, err, "stack", string(p.Stack))
	case err != nil && ctx.Err() == nil:
		s.h.log.DebugContext(ctx, "stream ended", netserve.KeyPeer, s.peer.Addr.Addr().String(), netserve.KeyErr, err)
	}
}

// finish frees what the session has, after its last use.
func (s *session) finish() {
	s.cut(internalServerError)
	s.ticks.Wait()
	s.h.grown(s)
}

// cut ends a session that nobody has closed.
func (s *session) cut(c condition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(errors.New("session was given up"), terminal(c, s.legacy))
}
