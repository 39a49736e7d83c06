package bosh_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// What a session creation request may say, and what the response must.
// See XEP-0124, section 7.
var xepSessions = []xepRow{
	{"7.2 attributes that a response must have", func(r *xepRig) {
		a := r.create(nil).created
		for _, name := range []string{"wait", "requests"} {
			if a.number(name) < 0 {
				r.t.Errorf("got %v, want a number as %s", a, name)
			}
		}
	}},
	{"7.2 attributes that a response should have", func(r *xepRig) {
		a := r.create(nil).created
		for _, name := range []string{"polling", "inactivity", "hold", "maxpause"} {
			if a.number(name) < 0 {
				r.t.Errorf("got %v, want a number as %s", a, name)
			}
		}
		if !a.has("ver") {
			r.t.Errorf("got %v, want ver", a)
		}
	}},
	{"7.2 from is the domain", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		if got := s.created.attr("from"); got != r.domain {
			r.t.Errorf("got from=%q, want %q", got, r.domain)
		}
	}},
	{"7.2 attributes that only the first response has", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		a := s.send(nil, xepPlain("ana", "anchor")).answer().wantOK()
		for _, name := range []string{"sid", "wait", "requests", "ver", "polling", "inactivity", "hold", "maxpause", "accept", "charsets"} {
			if a.has(name) {
				r.t.Errorf("got %v, want no %s", a, name)
			}
		}
	}},
	{"7.2 sid is unique and long", func(r *xepRig) {
		seen := map[string]bool{}
		for range 20 {
			sid := r.create(nil).sid
			if seen[sid] || len(sid) < 20 {
				r.t.Errorf("got sid=%q, want one of at least 20 characters that is new", sid)
			}
			seen[sid] = true
		}
	}},
	{"7.2 accept and charsets are lists of what there is", func(r *xepRig) {
		a := r.create(nil).created
		for name := range strings.SplitSeq(a.attr("accept"), ",") {
			if name = strings.TrimSpace(name); name != "" && name != "gzip" && name != "deflate" {
				r.t.Errorf("got accept=%q, want gzip or deflate", a.attr("accept"))
			}
		}
		if strings.ContainsAny(a.attr("charsets"), ",;\t") {
			r.t.Errorf("got charsets=%q, want names with spaces between them", a.attr("charsets"))
		}
	}},
	{"16.2 no stream without several streams in a session", func(r *xepRig) {
		if a := r.create(nil).created; a.has("stream") {
			r.t.Errorf("got %v, want no stream", a)
		}
	}},
	{"7.1 without to", func(r *xepRig) {
		r.initiate(xepAttrs{"to": xepAbsent}).wantTerminate("improper-addressing")
	}},
	{"7.1 empty to", func(r *xepRig) {
		r.initiate(xepAttrs{"to": ""}).wantTerminate("improper-addressing")
	}},
	{"17.2 to is another domain", func(r *xepRig) {
		r.initiate(xepAttrs{"to": "unknown.example"}).wantTerminate("host-unknown")
	}},
	{"17.2 to is no domain", func(r *xepRig) {
		if a := r.initiate(xepAttrs{"to": "@@"}); !a.isError() {
			r.t.Errorf("got %v, want an error", a)
		}
	}},
	{"7.1 to in capitals", func(r *xepRig) { r.create(xepAttrs{"to": strings.ToUpper(r.domain)}) }},
	{"7.1 route is ignored", func(r *xepRig) {
		r.create(xepAttrs{"route": "xmpp:127.0.0.1:9"}).find(xepNSStreams, "features")
	}},
	{"7.1 from", func(r *xepRig) {
		r.create(xepAttrs{"from": "ana@" + r.domain}).find(xepNSStreams, "features")
	}},
	{"7.1 without xml:lang", func(r *xepRig) { r.create(xepAttrs{"xml:lang": xepAbsent}) }},
	{"7.1 attributes that it does not know", func(r *xepRig) {
		r.create(xepAttrs{"newer": "1", "xmlns:n": "urn:n", "n:wait": "x", "secure": "true", "window": "5"})
	}},
	{"7.1 the request must not have a sid", func(r *xepRig) {
		r.initiate(xepAttrs{"sid": "SomeSID"}).wantError(http.StatusNotFound, "item-not-found")
	}},
	{"7.1 a stranger to the session cannot begin it anew", func(r *xepRig) {
		s := r.create(nil)
		again := r.create(nil) // of the same rid: a session of its own
		if s.sid == again.sid {
			r.t.Errorf("got sid %q twice", s.sid)
		}
		s.send(nil, "")
		again.send(nil, "")
	}},
	{"5 content is what answers say they are", func(r *xepRig) {
		s := r.create(xepAttrs{"content": "text/html; charset=utf-8"})
		xepWantContentType(s.created, "text/html; charset=utf-8")
		s.find(xepNSStreams, "features")
		xepWantContentType(s.send(nil, xepPlain("ana", "wrong")).answer().wantOK(), "text/html; charset=utf-8")
		a := s.sendAt(s.rid+100, nil, "").answer()
		a.wantTerminate("item-not-found")
		xepWantContentType(a, "text/html; charset=utf-8")
	}},
	{"7.1 without content it is text/xml", func(r *xepRig) {
		s := r.create(nil)
		xepWantContentType(s.created, "text/xml; charset=utf-8")
		s.find(xepNSStreams, "features")
		xepWantContentType(s.send(nil, xepPlain("ana", "wrong")).answer().wantOK(), "text/xml; charset=utf-8")
	}},
	{"7.1 errors before a session are text/xml", func(r *xepRig) {
		a := r.initiate(xepAttrs{"to": "unknown.example"})
		a.wantTerminate()
		xepWantContentType(a, "text/xml; charset=utf-8")
	}},
	{"7.1 content cannot make header fields", func(r *xepRig) {
		for _, c := range []string{"text/html&#13;&#10;X-Evil: 1", "text/html&#10;X-Evil: 1", "text/html\r\nX-Evil: 1"} {
			if a := r.initiate(xepAttrs{"content": c}); a.err != nil || a.header.Get("X-Evil") != "" {
				r.t.Errorf("content %q: got %v with header %v", c, a, a.header)
			}
		}
	}},
}

// xepWantContentType wants a header field as it is written.
func xepWantContentType(a *xepAnswer, want string) {
	a.t.Helper()
	if got := a.header.Values("Content-Type"); len(got) != 1 || !strings.EqualFold(got[0], want) {
		a.t.Errorf("got Content-Type %q, want %q", got, want)
	}
}

func TestXEP0124Sessions(t *testing.T)         { xepTables(t, false, xepSessions) }
func TestXEP0124SessionsLoopback(t *testing.T) { xepTables(t, true, xepSessions) }

// The version of a response is the lower one, part by part as numbers.
// See XEP-0124, section 7.2.
func TestXEP0124Version(t *testing.T) {
	var rows []xepRow
	for _, version := range []string{"1.0", "1.2", "1.6", "1.8", "1.9", "1.10"} {
		rows = append(rows, xepRow{"7.2 ver is at most the client's " + version, func(r *xepRig) {
			if got := r.create(xepAttrs{"ver": version}).created.attr("ver"); got != version {
				r.t.Errorf("got ver=%q, want %q", got, version)
			}
		}})
	}
	for _, version := range []string{"1.100", "2.0", "10.1"} {
		rows = append(rows, xepRow{"7.2 ver is at most the server's against " + version, func(r *xepRig) {
			got := r.create(xepAttrs{"ver": version}).created.attr("ver")
			major, minor, ok := strings.Cut(got, ".")
			if n, err := strconv.Atoi(minor); !ok || err != nil || major != "1" || n > 11 {
				r.t.Errorf("got ver=%q, want one from 1.0 to 1.11", got)
			}
		}})
	}
	for _, version := range []string{"", "x", "1", "1.", ".6", "-1.-6", "1.6.1", "99999999999999999999.1"} {
		rows = append(rows, xepRow{"7.1 ver that is no version: " + version, func(r *xepRig) {
			if a := r.initiate(xepAttrs{"ver": version}); a.err != nil || a.status >= 500 {
				r.t.Errorf("got %v, want an answer", a)
			} else if !a.isError() && strings.HasPrefix(a.attr("ver"), "-") {
				r.t.Errorf("got ver=%q", a.attr("ver"))
			}
		}})
	}
	rows = append(rows, xepRow{"17.1 a client without ver gets a session", func(r *xepRig) {
		r.create(xepAttrs{"ver": xepAbsent}).find(xepNSStreams, "features")
	}})
	xepTables(t, false, rows)
}

// What the client asks for is the most.
// See XEP-0124, sections 7.1 and 7.2.
func TestXEP0124Limits(t *testing.T) {
	var rows []xepRow
	for _, wait := range []int{0, 1, 5, 60, 300, 301, 65535} {
		rows = append(rows, xepRow{"7.2 wait is at most the client's " + strconv.Itoa(wait), func(r *xepRig) {
			if got := r.create(xepAttrs{"wait": strconv.Itoa(wait)}).created.number("wait"); got < 0 || got > wait {
				r.t.Errorf("got wait=%d, want 0 to %d", got, wait)
			}
		}})
	}
	for _, hold := range []int{0, 1, 2, 5, 255} {
		rows = append(rows, xepRow{"7.2 hold is at most the client's " + strconv.Itoa(hold), func(r *xepRig) {
			a := r.create(xepAttrs{"hold": strconv.Itoa(hold)}).created
			if got := a.number("hold"); got < 0 || got > hold {
				r.t.Errorf("got hold=%d, want 0 to %d", got, hold)
			}
			if a.number("requests") <= a.number("hold") {
				r.t.Errorf("got requests=%d, want more than hold=%d", a.number("requests"), a.number("hold"))
			}
		}})
	}
	rows = append(rows, xepRow{"7.2 requests is one more than hold", func(r *xepRig) {
		for _, hold := range []string{"0", "1"} {
			if a := r.create(xepAttrs{"hold": hold}).created; a.number("requests") != a.number("hold")+1 {
				r.t.Errorf("hold %s: got requests=%d, want %d", hold, a.number("requests"), a.number("hold")+1)
			}
		}
	}})
	for _, name := range []string{"wait", "hold"} {
		for _, value := range []string{"-1", "-99999999999999999999", "99999999999999999999", "4294967296", "18446744073709551617", "1e3", "x", "", "NaN", "1.5"} {
			rows = append(rows, xepRow{"7.1 " + name + " that is no number: " + value, func(r *xepRig) {
				a := r.initiate(xepAttrs{name: value})
				switch {
				case a.err != nil || a.status >= 500:
					r.t.Errorf("got %v, want an answer", a)
				case !a.isError() && (a.number(name) < 0 || a.number(name) > 65535):
					r.t.Errorf("got %s=%q", name, a.attr(name))
				case a.isError():
					a.wantTerminate("bad-request")
				}
			}})
		}
		rows = append(rows, xepRow{"7.1 without " + name, func(r *xepRig) {
			if a := r.create(xepAttrs{name: xepAbsent}).created; a.number(name) < 0 {
				r.t.Errorf("got %s=%q, want a number", name, a.attr(name))
			}
		}})
	}
	xepTables(t, false, rows)
}
