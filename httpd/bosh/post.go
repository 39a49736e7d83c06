package bosh

import (
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
)

// post answers a request with a body.
func (h *Handler) post(w http.ResponseWriter, r *http.Request, i httpd.Info) {
	if c := r.Header.Get("Content-Encoding"); c != "" && c != "identity" {
		w.Header()["Access-Control-Allow-Origin"] = anyOrigin
		http.Error(w, "bodies are not taken compressed", http.StatusUnsupportedMediaType)
		return
	}
	x := readers.Get().(*reader)
	s, p, a := h.receive(x, r, i)
	x.release()
	if a == nil {
		a = s.answerTo(p, w, r)
	}
	if a == nil {
		return // nobody is there any more, or the request is held
	}
	contentType := xmlContent
	if s != nil {
		contentType = s.mediaType
	}
	err := a.write(w, r, contentType)
	if p != nil {
		s.written(p, err)
	}
}

// patience is how long a request waits for its answer here: longer ones are held by httpd,
// with less memory.
const patience = time.Second

// answerTo waits for the answer to a request, nil if its client has gone, or it is held.
func (s *session) answerTo(p *request, w http.ResponseWriter, r *http.Request) *answer {
	if p.done == nil {
		return p.answer
	}
	soon := time.NewTimer(patience)
	defer soon.Stop()
	for late := soon.C; ; late = nil {
		select {
		case <-p.done:
			return p.answer
		case <-r.Context().Done():
			s.hungUp(p)
			return nil
		case <-late:
			if s.put(p, w, r) {
				return nil
			}
		}
	}
}

// put has httpd hold a request, if it can.
func (s *session) put(p *request, w http.ResponseWriter, r *http.Request) bool {
	gzip := acceptsGzip(r.Header["Accept-Encoding"])
	held := httpd.Hold(w, r, func(h *httpd.Held) {
		if h.Gone() {
			s.hungUp(p)
			return
		}
		s.written(p, p.answer.writeHeld(h, gzip, s.mediaType))
	})
	if held == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.held = held; p.answer != nil {
		held.Wake()
	}
	return true
}

// receive reads a request and hands it to its session. It returns the answer if there is
// one already.
func (h *Handler) receive(x *reader, r *http.Request, i httpd.Info) (*session, *request, *answer) {
	if x.readTag(r.Body) != nil {
		return nil, nil, terminal(badRequest, true) // who knows what client that is
	}
	if len(x.body.sid) == 0 {
		s, p, c := h.create(x, r, i)
		if c != "" {
			return nil, nil, terminal(c, len(x.body.ver) == 0)
		}
		return s, p, nil
	}
	s := h.find(x.body.sid)
	switch {
	case s == nil:
		return nil, nil, terminal(itemNotFound, false)
	case s.peer.Secure && !i.Secure: // XEP-0124, section 19.1
		return nil, nil, &answer{status: http.StatusForbidden, hangUp: true}
	}
	limits := s.bounds()
	err := x.readRest(r.Body, 2*min(limits.Bytes, maxBody/2)+maxTag)
	if err != nil && err != errTooLarge { // the client may send it again
		return nil, nil, terminal(badRequest, true)
	}
	p := x.request()
	if err == nil {
		err = s.fill(p, x, limits)
	}
	if err != nil {
		s.refuse(p, conditionOf(err))
	} else {
		s.arrive(p)
	}
	return s, p, nil
}

// bounds returns the limits of what the client may send now.
func (s *session) bounds() xmlstream.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limits
}

// fill adds to a request what its body has.
func (s *session) fill(p *request, x *reader, limits xmlstream.Limits) (err error) {
	switch {
	case x.body.err != nil:
		return x.body.err
	case p.rid == none:
		return errBody("no rid")
	case x.body.restart: // what else there is does not count (XEP-0206, section 5)
		p.add(item{header: s.header(&x.body)})
	default:
		err = s.elements(p, x, limits)
	}
	p.empty = len(p.items) == 0 && !p.isExtra()
	return err
}

// elements adds the payload.
func (s *session) elements(p *request, x *reader, limits xmlstream.Limits) error {
	s.parsing.Lock()
	defer s.parsing.Unlock()
	return x.payload(limits, func(e *xmlstream.Element) error {
		if len(p.items) == maxElements {
			return &xmlstream.SyntaxError{Kind: xmlstream.TooManyElements, Msg: "more elements than allowed"}
		}
		p.add(newItem(e, &s.jids))
		return nil
	})
}
