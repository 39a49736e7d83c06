package bosh_test

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Reads end at their deadline, whenever that was set.
func TestReadDeadline(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(s *stream)
		want time.Duration
	}{
		{"before", func(s *stream) { _ = s.SetReadDeadline(time.Now().Add(5 * time.Second)) }, 5 * time.Second},
		{"past", func(s *stream) { _ = s.SetReadDeadline(time.Now().Add(-time.Second)) }, 0},
		{"meanwhile", func(s *stream) {
			time.AfterFunc(3*time.Second, func() { _ = s.SetReadDeadline(time.Now().Add(time.Second)) })
		}, 4 * time.Second},
		{"meanwhile, past", func(s *stream) {
			time.AfterFunc(3*time.Second, func() { _ = s.SetReadDeadline(time.Unix(1, 0)) })
		}, 3 * time.Second},
		{"moved", func(s *stream) {
			_ = s.SetReadDeadline(time.Now().Add(2 * time.Second))
			time.AfterFunc(time.Second, func() { _ = s.SetReadDeadline(time.Now().Add(9 * time.Second)) })
		}, 10 * time.Second},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("")
			p := x.send("", "")
			began := time.Now()
			c.set(s)
			if _, err := s.Read(); err != os.ErrDeadlineExceeded {
				t.Errorf("got %v, want os.ErrDeadlineExceeded", err)
			}
			if took := time.Since(began); took != c.want {
				t.Errorf("it took %v, want %v", took, c.want)
			}
			_ = s.SetReadDeadline(time.Time{})
			q := x.send("", message)
			if _, err := s.Read(); err != nil {
				t.Errorf("without a deadline: %v", err)
			}
			_ = s.end()
			p.wait()
			q.wait()
		})
	}
}

// A write deadline stands still while the client is between two requests, as it may be,
// unless somebody is in a hurry.
func TestWriteDeadline(t *testing.T) {
	after := func(s *stream, d time.Duration) { _ = s.SetWriteDeadline(time.Now().Add(d)) }
	for _, c := range []struct {
		name string
		set  func(s *stream)
		poll time.Duration // when the client comes; 0: never
		err  error
		want time.Duration
	}{
		{"client comes", func(s *stream) { after(s, time.Minute) }, 20 * time.Second, nil, 20 * time.Second},
		{"client comes later", func(s *stream) { after(s, 15*time.Second) }, 29 * time.Second, nil, 29 * time.Second},
		{"client does not come", func(s *stream) { after(s, 15*time.Second) }, 0, io.ErrUnexpectedEOF, 30 * time.Second},
		{"none", func(*stream) {}, 29 * time.Second, nil, 29 * time.Second},
		{"meanwhile", func(s *stream) { time.AfterFunc(3*time.Second, func() { after(s, 5*time.Second) }) }, 0, os.ErrDeadlineExceeded, 8 * time.Second},
		{"meanwhile, past", func(s *stream) { time.AfterFunc(3*time.Second, func() { after(s, -time.Second) }) }, 0, os.ErrDeadlineExceeded, 3 * time.Second},
		{"moved forward", func(s *stream) { after(s, 15*time.Second); after(s, 5*time.Second) }, 0, os.ErrDeadlineExceeded, 5 * time.Second},
		{"set anew", func(s *stream) {
			by := time.Now().Add(5 * time.Second)
			_ = s.SetWriteDeadline(by)
			_ = s.SetWriteDeadline(by)
		}, 0, os.ErrDeadlineExceeded, 5 * time.Second},
		{"moved back", func(s *stream) { after(s, 5*time.Second); after(s, 15*time.Second) }, 20 * time.Second, nil, 20 * time.Second},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("")
			began := time.Now()
			c.set(s)
			if c.poll > 0 {
				time.AfterFunc(c.poll, func() { x.ask("", "") })
			}
			if err := s.Write(batch(message)); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if took := time.Since(began); took != c.want {
				t.Errorf("it took %v, want %v", took, c.want)
			}
			if c.err != nil && s.Write(batch(message)) == nil {
				t.Error("a second Write: got no error")
			}
			_ = s.end()
		})
	}
}

// stuck is an answer that the client does not read.
type stuck struct {
	*httptest.ResponseRecorder
	read chan struct{}
}

func (w stuck) Write(b []byte) (int, error) {
	<-w.read
	return len(b), nil
}

// A deadline counts while the client is there, as one that does not read its answer is.
func TestWriteDeadlineWhileHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		w := stuck{httptest.NewRecorder(), make(chan struct{})}
		time.AfterFunc(10*time.Second, func() { // the clock stands still until then
			r.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/bosh", strings.NewReader(c.next("", ""))))
		})
		began := time.Now()
		_ = s.SetWriteDeadline(began.Add(15 * time.Second))
		if err := s.Write(batch(message)); err != os.ErrDeadlineExceeded {
			t.Errorf("got %v, want os.ErrDeadlineExceeded", err)
		}
		if took := time.Since(began); took != 25*time.Second {
			t.Errorf("it took %v, want 25 s", took)
		}
		if err := s.Write(batch(message)); err == nil {
			t.Error("a second Write: got no error")
		}
		close(w.read)
		_ = s.end()
	})
}

// A request that has overtaken others is no sign that the client is there.
func TestWriteAndEarlyRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		p := c.start(c.body(c.rid+2, "", message))
		began := time.Now()
		_ = s.SetWriteDeadline(began.Add(15 * time.Second))
		if err := s.Write(batch(message)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v, want io.ErrUnexpectedEOF", err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("it took %v, want 30 s", took)
		}
		p.wait().ends(t, "item-not-found")
		_ = s.end()
	})
}

// An answer has at most so many elements, and Write waits until all were taken.
func TestMaxConcat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := bosh.Defaults()
		o.MaxConcat = 2
		r := newRig(t, o)
		defer r.end()
		c, s := r.open("")
		written := make(chan error, 1)
		go func() { written <- s.Write(batch("<a/>", "<b/>", "<c/>", "<d/>", "<e/>")) }()
		synctest.Wait()
		for i, want := range []string{"<a/><b/>", "<c/><d/>", "<e/>"} {
			if len(written) > 0 {
				t.Errorf("Write has returned before answer %d", i)
			}
			c.ask("", "").is(t, withBody(want))
			synctest.Wait()
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		_ = s.end()
	})
}

// What is over the limits ends the session.
func TestLimits(t *testing.T) {
	element := func(n int) string {
		return "<message>" + strings.Repeat("x", n-len("<message></message>")) + "</message>"
	}
	for _, c := range []struct {
		name    string
		limits  stanza.Limits
		payload string
		want    string // condition; "": fine
	}{
		{"as large as may be", stanza.Limits{Bytes: 1000}, element(1000), ""},
		{"two of them", stanza.Limits{Bytes: 1000}, element(1000) + element(1000), ""},
		{"too large", stanza.Limits{Bytes: 1000}, element(1001), "policy-violation"},
		{"too much in all", stanza.Limits{Bytes: 1000}, strings.Repeat(element(1000), 7), "policy-violation"},
		{"default", stanza.Limits{}, element(262144), ""},
		{"above the default", stanza.Limits{}, element(262145), "policy-violation"},
		{"elements", stanza.Limits{Elements: 3}, "<message><a/></message><message/>", ""},
		{"too many elements", stanza.Limits{Elements: 3}, "<message><a/></message><message/><message/>", "policy-violation"},
		{"depth", stanza.Limits{Depth: 3}, "<message><a><b/></a></message>", ""},
		{"too deep", stanza.Limits{Depth: 3}, "<message><a><b><c/></b></a></message>", "policy-violation"},
		{"most elements", stanza.Limits{}, strings.Repeat("<a/>", 1000), ""},
		{"more elements", stanza.Limits{}, strings.Repeat("<a/>", 1001), "policy-violation"},
		{"not well-formed", stanza.Limits{}, "<message></presence>", "bad-request"},
		{"half an element", stanza.Limits{}, "<message>", "bad-request"},
		{"text", stanza.Limits{}, "ahoy", "bad-request"},
		{"comment", stanza.Limits{}, "<!-- ahoy -->", "bad-request"},
		{"instruction", stanza.Limits{}, "<?ahoy?>", "bad-request"},
		{"entity", stanza.Limits{}, "<message>&ahoy;</message>", "bad-request"},
		{"no UTF-8", stanza.Limits{}, "<message>\xff</message>", "bad-request"},
		{"second body", stanza.Limits{}, "</body><body>", "bad-request"},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("wait='60'")
			s.SetLimits(c.limits)
			p := x.send("", c.payload)
			synctest.Wait()
			if c.want != "" {
				p.wait().ends(t, c.want)
				if _, err := s.Read(); !errors.As(err, new(*stanza.StreamError)) {
					t.Errorf("Read: got %v, want a stream error", err)
				}
			} else if _, err := s.Read(); err != nil || !p.waits() {
				t.Errorf("Read: got %v", err)
			}
			_ = s.end()
			if c.want == "" {
				p.wait()
			}
		})
	}
}

// A stanza that is wrong in itself comes with what is wrong.
func TestWrongStanza(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		p := c.send("", "<iq type='get'/><message/>")
		if in, err := s.Read(); in.Stanza == nil || !errors.As(err, new(*stanza.Error)) {
			t.Errorf("got %+v, %v, want the iq and a stanza error", in, err)
		}
		if in, err := s.Read(); err != nil || in.Stanza.Kind != stanza.Message {
			t.Errorf("got %+v, %v, want the message", in, err)
		}
		_ = s.end()
		p.wait()
	})
}

// What is not read is bounded: requests behind it wait, and no more of them come in than
// may be under way.
func TestUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		large := "<message id='ID'><body>" + strings.Repeat("x", 40_000) + "</body></message>"
		var sent []*pending
		for i := range 3 {
			sent = append(sent, c.send("", strings.Replace(large, "ID", strconv.Itoa(i), 1)))
			synctest.Wait()
		}
		// The first is held, as nobody reads what came with it there is no room for the
		// second, and the third is one too many.
		sent[2].wait().ends(t, "policy-violation")
		_ = s.end()
	})
}

// A client is read no faster than its rate.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		s.SetRate(shaper.Rate{BytesPerSecond: 1000, Burst: 1000})
		kilobyte := "<message>" + strings.Repeat("x", 1000-len("<message></message>")) + "</message>"
		p := c.send("", strings.Repeat(kilobyte, 8))
		began := time.Now()
		for range 5 {
			if _, err := s.Read(); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began).Round(time.Second); took != 3*time.Second {
			t.Errorf("5 KB with a burst of 1 KB at 1 KB/s took %v, want 3 s", took)
		}
		_ = s.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := s.Read(); err != os.ErrDeadlineExceeded {
			t.Errorf("got %v, want os.ErrDeadlineExceeded", err)
		}
		_ = s.SetReadDeadline(time.Time{})
		time.AfterFunc(100*time.Millisecond, func() { s.SetRate(shaper.Rate{}) })
		began = time.Now()
		for range 3 {
			if _, err := s.Read(); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("without a rate: it took %v", took)
		}
		_ = s.end()
		p.wait()
	})
}

func TestPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		_, s := r.open("")
		if p := s.Peer(); p.Name != "bosh" || p.Secure || p.Addr.Addr().String() != "192.0.2.1" || p.TLS != nil {
			t.Errorf("got %+v, want an unencrypted one at 192.0.2.1 by bosh", p)
		}
		if !s.Standalone() {
			t.Error("Standalone: got false")
		}
		_ = s.end()
	})
}

// Limits may be as large as numbers are.
func TestLargestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		x, s := r.open("")
		s.SetLimits(stanza.Limits{Bytes: math.MaxInt, Elements: math.MaxInt, Depth: math.MaxInt})
		p := x.send("", "<message><body>"+strings.Repeat("x", 10_000)+"</body></message>")
		if in, err := s.Read(); err != nil || in.Stanza == nil {
			t.Errorf("got %v, want the message", err)
		}
		_ = s.end()
		p.wait()
	})
}
