package bosh

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// condition is why a session ends (XEP-0124, section 17.2).
type condition string

const (
	badRequest          condition = "bad-request"
	hostUnknown         condition = "host-unknown"
	improperAddressing  condition = "improper-addressing"
	internalServerError condition = "internal-server-error"
	itemNotFound        condition = "item-not-found"
	otherRequest        condition = "other-request"
	policyViolation     condition = "policy-violation"
	remoteStreamError   condition = "remote-stream-error"
	systemShutdown      condition = "system-shutdown"
)

// status returns the status for clients from before these conditions (section 17.1).
func (c condition) status() int {
	switch c {
	case badRequest:
		return http.StatusBadRequest
	case policyViolation:
		return http.StatusForbidden
	case itemNotFound:
		return http.StatusNotFound
	}
	return http.StatusOK
}

const (
	bodyOpen   = "<body xmlns='" + nsBind + "'"
	bodyClose  = "</body>"
	declStream = " xmlns:stream='" + stanza.NSStream + "'"
	declXMPP   = " xmlns:xmpp='" + nsXMPP + "'"
)

// Answers that are always the same. Nobody changes them.
var (
	emptyBody       = []byte(bodyOpen + "/>")
	recoverableBody = []byte(bodyOpen + " type='error'/>") // section 17.3
)

// answer is what a request gets.
type answer struct {
	rid    int64
	at     time.Time
	status int // 0: 200
	body   []byte
	key    []byte // of the request
	repeat int    // how often that was sent again
	out    bool   // it has elements of the Write under way, and was not taken
	last   bool   // with it the client knows that the session ends
	hangUp bool   // the connection ends with it
}

// terminal returns the answer that ends a session, or says that there is none.
func terminal(c condition, legacy bool) *answer {
	a := new(answer)
	if legacy {
		a.status = c.status()
	}
	a.body = append(a.body, bodyOpen+" type='terminate'"...)
	if c != "" {
		a.body = append(a.body, " condition='"...)
		a.body = append(a.body, c...)
		a.body = append(a.body, '\'')
	}
	a.body = append(a.body, "/>"...)
	return a
}

// farewell returns the answer that ends the session for an error of its stream, nil for
// none (XEP-0206, section 6). The caller holds mu.
func (s *session) farewell(e *stanza.StreamError) *answer {
	switch {
	case e == nil:
		return terminal("", false)
	case e.Condition == stanza.StreamHostUnknown && !s.created:
		return terminal(hostUnknown, s.legacy)
	}
	b := append([]byte(nil), bodyOpen+declStream+" type='terminate' condition='"...)
	b = append(b, remoteStreamError...)
	b = append(b, "'>"...)
	b = xmppstream.AppendStreamError(b, e, true)
	return &answer{body: append(b, bodyClose...)}
}

// compose makes the answer to a request, which is the oldest. The caller holds mu.
func (s *session) compose(p *request, payload []byte, now time.Time) *answer {
	a := &answer{rid: p.rid, key: p.key}
	var room [512]byte
	b := room[:0]
	if p.terminate { // nothing else will be asked for
		b, a.last = append(b, " type='terminate'"...), true
	}
	b = s.appendAttributes(b, p, now)
	if len(b) == 0 && len(payload) == 0 {
		a.body = emptyBody
		return a
	}
	a.body = make([]byte, 0, len(bodyOpen)+len(b)+len("></body>")+len(payload))
	a.body = append(a.body, bodyOpen...)
	a.body = append(a.body, b...)
	if len(payload) == 0 {
		a.body = append(a.body, "/>"...)
		return a
	}
	a.body = append(a.body, '>')
	a.body = append(a.body, payload...)
	a.body = append(a.body, bodyClose...)
	return a
}

// appendAttributes adds what the answer to p says besides the payload.
func (s *session) appendAttributes(b []byte, p *request, now time.Time) []byte {
	created := s.created
	if !created {
		s.created = true
		b = s.appendCreation(b)
	}
	if h := s.opening; h != nil {
		s.opening = nil
		b = append(b, declStream...)
		if !s.opened { // XEP-0206, section 4
			s.opened = true
			if created {
				b = append(b, declXMPP...)
			}
			b = appendAttr(b, "from", h.From)
			b = appendAttr(b, "authid", h.ID)
			b = appendAttr(b, "xmpp:version", h.Version)
		}
	}
	return s.appendAcks(b, p, created, now)
}

// appendCreation adds what the first answer of a session says (XEP-0124, section 7.2,
// and XEP-0206, section 4).
func (s *session) appendCreation(b []byte) []byte {
	b = append(b, declXMPP...)
	b = appendAttr(b, "sid", s.sid)
	b = appendAttr(b, "jid", s.jid)
	if !s.legacy {
		b = appendAttr(b, "ver", s.ver)
	}
	b = appendNumber(b, "wait", int64(s.wait/time.Second))
	b = appendNumber(b, "hold", int64(s.hold))
	b = appendNumber(b, "requests", s.requests)
	b = appendNumber(b, "polling", int64(polling/time.Second))
	b = appendNumber(b, "inactivity", int64(s.inactivity/time.Second))
	b = appendNumber(b, "maxpause", int64(s.maxPause/time.Second))
	return append(b, " secure='true' xmpp:restartlogic='true'"...)
}

func appendAttr(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, "='"...)
	b = stanza.AppendEscaped(b, value)
	return append(b, '\'')
}

func appendNumber(b []byte, name string, n int64) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, "='"...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, '\'')
}

const textXML = "text/xml; charset=utf-8"

// Fields of all answers. Nobody changes them. A page must be able to come from anywhere:
// there are no cookies that it could misuse. What a client chooses for content type must
// not make a browser run what is in a stanza.
var (
	anyOrigin   = []string{"*"}
	noSniff     = []string{"nosniff"}
	noScript    = []string{"default-src 'none'; sandbox"}
	noStore     = []string{"no-store"}
	xmlContent  = []string{textXML}
	gzipContent = []string{"gzip"}
	variesBy    = []string{"Accept-Encoding"}
)

// write writes an answer, and waits until it has been taken.
func (a *answer) write(w http.ResponseWriter, r *http.Request, contentType []string) error {
	h := w.Header()
	body, z := a.prepare(h, acceptsGzip(r.Header["Accept-Encoding"]), contentType)
	if z != nil {
		defer z.release()
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// writeHeld is write for a request that was held.
func (a *answer) writeHeld(to *httpd.Held, gzip bool, contentType []string) error {
	h := make(http.Header)
	body, z := a.prepare(h, gzip, contentType)
	if z != nil {
		defer z.release()
	}
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	return to.Answer(status, h, body)
}

// prepare adds the fields of an answer, and returns its body: that of z if it has been
// compressed.
func (a *answer) prepare(h http.Header, gzip bool, contentType []string) (body []byte, z *compressed) {
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Cache-Control"] = noStore
	h["Content-Security-Policy"] = noScript
	h["X-Content-Type-Options"] = noSniff
	h["Content-Type"] = contentType
	h["Vary"] = variesBy
	body = a.body
	if len(body) >= worthCompressing && gzip {
		z = compress(body)
		body = z.buf.Bytes()
		h["Content-Encoding"] = gzipContent
	}
	if a.hangUp {
		h.Set("Connection", "close")
	}
	return body, z
}
