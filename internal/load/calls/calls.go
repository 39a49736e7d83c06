// Package calls puts load on what lets programs run commands by HTTP: XML-RPC and the
// API of ejabberd, with one command that has no arguments.
package calls

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Target is the server under load.
type Target struct {
	Dial func(ctx context.Context) (net.Conn, error)
	Host string // of requests
	PID  int    // the server's process, 0 if it is not to be measured
}

// command is what is called: it has no arguments, and a number as its result.
const command = "connected_users_number"

// Calls has clients call, each on a connection of its own, one call after the other.
type Calls struct {
	XMLRPC      bool   // XML-RPC; else the HTTP API
	Path        string // of the handler
	Connections int
	Warm        time.Duration // before measuring
	Duration    time.Duration // of measuring
}

// request returns what a client sends.
func (w Calls) request(host string) []byte {
	path, kind, body := strings.TrimSuffix(w.Path, "/")+"/"+command, "application/json", "{}"
	if w.XMLRPC {
		path, kind = w.Path, "text/xml"
		body = "<?xml version='1.0'?><methodCall><methodName>" + command + "</methodName><params></params></methodCall>"
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, host, kind, len(body), body)
}

// isAnswer says whether a body is that of a call that was done.
func (w Calls) isAnswer(body []byte) bool {
	if w.XMLRPC {
		return bytes.Contains(body, []byte("num_sessions")) && !bytes.Contains(body, []byte("<fault>"))
	}
	// Version 0 of the API, which is all that older servers have, names the result.
	body = bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(body), []byte(`{"num_sessions":`)), []byte("}"))
	return len(body) > 0 && len(bytes.Trim(body, "0123456789")) == 0
}

// Run measures.
func (w Calls) Run(ctx context.Context, t *Target) (r meter.Result, err error) {
	r.Workload = "calls"
	r.Set("connections", w.Connections)
	r.Set("path", w.Path)
	if err := errors.Join(crowd.Room(w.Connections, t.PID), r.Before(t.PID)); err != nil {
		return r, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	callers := make([]*caller, w.Connections)
	for i := range callers {
		if callers[i], err = w.caller(ctx, t); err != nil {
			closeAll(callers[:i])
			return r, err
		}
	}
	defer closeAll(callers)
	spent, err := w.measure(ctx, t, callers)
	if err != nil {
		return r, err
	}
	var count int64
	latency := new(meter.Histogram)
	for _, c := range callers {
		count += c.count
		latency.Merge(&c.latency)
	}
	r.Counted(count, "calls", spent)
	r.Latencies(latency)
	return r, r.After(t.PID, 0)
}

// measure lets the callers call.
func (w Calls) measure(ctx context.Context, t *Target, callers []*caller) (spent meter.Spent, err error) {
	var measuring, over atomic.Bool
	failed := make(chan error, len(callers))
	var running sync.WaitGroup
	for _, c := range callers {
		running.Go(func() {
			if err := c.run(&measuring, &over); err != nil {
				failed <- err
			}
		})
	}
	defer running.Wait()
	defer over.Store(true)
	if err := hold(ctx, w.Warm, failed); err != nil {
		return spent, err
	}
	before, err := meter.Read(t.PID)
	if err != nil {
		return spent, err
	}
	measuring.Store(true)
	if err := hold(ctx, w.Duration, failed); err != nil {
		return spent, err
	}
	after, err := meter.Read(t.PID)
	return after.Since(before), err
}

// hold waits for d, or until a caller fails.
func hold(ctx context.Context, d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// caller is one client.
type caller struct {
	w       Calls
	conn    net.Conn
	in      *bufio.Reader
	request []byte
	body    bytes.Buffer
	count   int64 // of the measured time
	latency meter.Histogram
}

func (w Calls) caller(ctx context.Context, t *Target) (*caller, error) {
	conn, err := t.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &caller{w: w, conn: conn, in: bufio.NewReader(conn), request: w.request(t.Host)}, nil
}

// patience is how long an answer may take.
const patience = 10 * time.Second

func (c *caller) run(measuring, over *atomic.Bool) error {
	for !over.Load() {
		began := time.Now()
		if err := c.call(began); err != nil {
			return err
		}
		if measuring.Load() && !over.Load() {
			c.count++
			c.latency.Add(time.Since(began))
		}
	}
	return nil
}

func (c *caller) call(now time.Time) error {
	if err := c.conn.SetDeadline(now.Add(patience)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	c.body.Reset()
	if _, err := io.Copy(&c.body, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || !c.w.isAnswer(c.body.Bytes()) {
		return fmt.Errorf("the server answers %s: %.200q", answer.Status, c.body.Bytes())
	}
	return nil
}

func closeAll(callers []*caller) {
	for _, c := range callers {
		_ = c.conn.Close()
	}
}
