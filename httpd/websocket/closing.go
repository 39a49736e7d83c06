package websocket

import (
	"errors"
	"net/url"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/wsock"
	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// closeTimeout is the longest that Close takes.
const closeTimeout = time.Second

// Close implements stanza.Transport (RFC 7395, sections 3.5 and 3.6).
func (t *transport) Close(reason *stanza.StreamError) error {
	t.mu.Lock()
	again := t.closing
	t.closing = true
	late := t.headers == 0 || t.headers < t.opened
	silent := late && !t.spoken.Load()
	limit := closeTimeout
	if !t.writeBy.IsZero() {
		limit = min(limit, time.Until(t.writeBy))
	}
	t.mu.Unlock()
	if again {
		<-t.closed
		return t.closeErr
	}
	defer close(t.closed)
	t.SetRate(shaper.Rate{})
	cut := time.AfterFunc(max(limit, 1), t.conn.Cut) // whoever waits below is woken
	defer cut.Stop()
	if !silent {
		t.closeErr = t.goodbye(reason, late)
	}
	if t.closeErr == nil {
		wait := limit / 2 // there is something to write after it
		if silent {
			wait = 0
		}
		_ = t.conn.SetReadDeadline(time.Now().Add(wait))
		t.reading.take()
		defer t.reading.give()
		if !silent {
			t.awaitEnd()
		}
		_ = t.conn.SetReadDeadline(time.Time{}) // until cut
		if t.conn.WriteClose(status(reason)) == nil {
			t.conn.Drain(drainBudget)
			_ = t.conn.Close()
		}
	}
	t.conn.Cut()
	return t.closeErr
}

// goodbye ends our side of the stream, if the client has not closed the connection: then
// nothing can follow (RFC 6455, section 6.1).
func (t *transport) goodbye(reason *stanza.StreamError, late bool) error {
	t.writing.take()
	defer t.writing.give()
	if t.conn.Left() != 0 {
		return nil
	}
	if t.werr == nil {
		t.werr = t.conn.Write(func(dst []byte) []byte { return appendGoodbye(dst, reason, late) })
	}
	if t.conn.Left() != 0 {
		return nil
	}
	return t.werr
}

// appendGoodbye adds what ends a stream; late: one that we have not opened yet.
func appendGoodbye(dst []byte, reason *stanza.StreamError, late bool) []byte {
	switch uri, elsewhere := otherURI(reason); {
	case elsewhere:
		return wsock.AppendFrame(dst, wsock.Text, appendClose(nil, uri))
	case reason == nil && late:
		return dst
	case reason != nil && late:
		dst = wsock.AppendFrame(dst, wsock.Text, appendOpen(nil, stanza.Header{ID: xmppstream.NewStreamID(), Version: "1.0", Lang: "en"}))
	}
	if reason != nil {
		dst = wsock.AppendFrame(dst, wsock.Text, xmppstream.AppendStreamError(nil, reason, true))
	}
	return wsock.AppendFrame(dst, wsock.Text, []byte(closeTag))
}

// otherURI is where a client shall go: the text of see-other-host, if that is a URI
// (RFC 7395, section 3.6.1).
func otherURI(reason *stanza.StreamError) (uri string, ok bool) {
	if reason == nil || reason.Condition != stanza.StreamSeeOtherHost {
		return "", false
	}
	u, err := url.Parse(reason.Text)
	return reason.Text, err == nil && u.IsAbs() && u.Host != ""
}

// status returns the status to close the connection with.
func status(reason *stanza.StreamError) (code int, text string) {
	var e *wsock.Error
	switch {
	case reason == nil:
		return wsock.StatusNormal, ""
	case errors.As(reason.Err, &e):
		return e.Code, e.Text
	case reason.Condition == stanza.StreamSystemShutdown, reason.Condition == stanza.StreamSeeOtherHost:
		return wsock.StatusGoingAway, ""
	case reason.Condition == stanza.StreamInternalServerError:
		return wsock.StatusInternal, ""
	}
	return wsock.StatusPolicyViolation, string(reason.Condition)
}

// What Close reads to find the client's end: messages until that of the stream, and then
// bytes until that of the connection.
const (
	closeBudget = 100
	drainBudget = 1 << 20
)

// awaitEnd reads on until the client has closed its side of the stream. The caller has the
// turn to read.
func (t *transport) awaitEnd() {
	t.mu.Lock()
	limits := t.limits
	t.mu.Unlock()
	for range closeBudget {
		if t.ended.Load() {
			return
		}
		err := t.message(limits, func(*xmlstream.Element) error { return nil })
		var e *stanza.StreamError
		if err != nil && (!errors.As(err, &e) || errors.As(e.Err, new(*wsock.Error))) {
			return // the connection has ended, or there are no messages any more
		}
	}
}
