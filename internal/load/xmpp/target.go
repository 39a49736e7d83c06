package xmpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// ErrNotOffered says that the server does not have what a workload needs.
var ErrNotOffered = errors.New("the server does not offer it")

// Target is the server under load, and how its clients log in.
type Target struct {
	// Dial connects to the server.
	Dial func(ctx context.Context) (net.Conn, error)
	// WebSocket and BOSH are paths: the clients come by one of these, if it is set.
	WebSocket, BOSH string
	// Domain is the virtual host.
	Domain string
	// Accounts are called User0, User1, …, this many, all with one password.
	// Clients beyond that number log in again with other resources.
	User     string
	Password string
	Accounts int
	// Mechanism is PLAIN or SCRAM-SHA-1; "": SCRAM-SHA-1 where it is offered,
	// PLAIN otherwise.
	Mechanism string
	// TLS has the clients use STARTTLS.
	TLS bool
	// AnyKeyExchange lets TLS choose its key exchange. Otherwise it is X25519,
	// so that servers with and without post-quantum exchanges compare.
	AnyKeyExchange bool
	// NoEcho ends a login when the presence was written. Otherwise it ends when
	// the presence comes back (RFC 6121, section 4.2.2).
	NoEcho bool
	// InMemory says that connections need no descriptors.
	InMemory bool
	// NoFrom leaves the senders of messages unchecked, for what stamps none.
	NoFrom bool
	// LoginTimeout bounds a login. 0: 60 s.
	LoginTimeout time.Duration
	// Logins is how many clients log in at a time. 0: 20.
	Logins int
	// Patience is how long nothing may arrive until what is missing counts as
	// lost. 0: 5 s.
	Patience time.Duration
	// PID is the server's process, 0 if it is not to be measured.
	PID int
	// Errors gets a line for what went wrong with a single client, up to ten of
	// them; nil discards.
	Errors io.Writer

	keys keyCache

	mu   sync.Mutex // guards Errors and what follows
	told int
}

const maxTold = 10

// complain writes down what went wrong with one client.
func (t *Target) complain(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told++; t.Errors != nil && t.told <= maxTold {
		fmt.Fprintf(t.Errors, format+"\n", args...)
	}
}

// user returns the name of the account of client i.
func (t *Target) user(i int) string { return fmt.Sprintf("%s%d", t.User, i%max(t.Accounts, 1)) }

// bare returns the address of the account of client i.
func (t *Target) bare(i int) string { return t.user(i) + "@" + t.Domain }

// options are the ways in which a client logs in.
type options struct {
	resource string
	absent   bool // send no presence
	roster   bool // ask for the roster before the presence is sent
	managed  bool // turn on stream management
	every    int  // stanzas after which an acknowledgement is asked for, when managed; 0: never
	buffer   int  // bytes to read at once; 0: 4096
}

// loginMany logs in the clients from first on, n of them. After an error none
// of them is left.
func (t *Target) loginMany(ctx context.Context, first, n int, o options) ([]*Client, error) {
	clients := make([]*Client, n)
	err := crowd.Parallel(n, t.logins(), func(i int) error {
		c, err := t.login(ctx, first+i, o)
		clients[i] = c
		return err
	})
	if err != nil {
		t.closeMany(clients)
		return nil, err
	}
	return clients, nil
}

func (t *Target) logins() int {
	if t.Logins <= 0 {
		return 20
	}
	return t.Logins
}

func (t *Target) loginTimeout() time.Duration {
	if t.LoginTimeout <= 0 {
		return time.Minute
	}
	return t.LoginTimeout
}

func (t *Target) patience() time.Duration {
	if t.Patience <= 0 {
		return 5 * time.Second
	}
	return t.Patience
}

// wait waits until done says so, or its count has not changed for as long as
// the patience lasts. The error is the cause of the end of ctx.
func (t *Target) wait(ctx context.Context, done func() (int64, bool)) error {
	const pause = 2 * time.Millisecond
	last := int64(-1)
	for idle := time.Duration(0); idle < t.patience(); idle += pause {
		n, ok := done()
		if ok {
			return nil
		}
		if err := crowd.Sleep(ctx, pause); err != nil {
			return err
		}
		if n != last {
			last, idle = n, 0
		}
	}
	return nil
}

// closeMany ends the streams of clients; some may be nil. It waits for the
// server's side to end as well, so that no session is left to the next run.
func (t *Target) closeMany(clients []*Client) {
	_ = crowd.Parallel(len(clients), t.logins(), func(i int) error {
		if clients[i] != nil {
			clients[i].Close()
		}
		return nil
	})
}

// newRun returns what tells the messages of this run from those of others:
// eight hexadecimal digits.
func newRun() string { return fmt.Sprintf("%08x", rand.Uint32()) }

// start begins a result.
func (t *Target) start(workload string) (meter.Result, error) {
	r := meter.Result{Workload: workload}
	return r, r.Before(t.PID)
}

// finish completes a result for a number of connections that are still there.
func (t *Target) finish(r *meter.Result, connections int, first *Client) error {
	if first != nil && first.tls != "" {
		r.Set("tls", first.tls)
	}
	return r.After(t.PID, connections)
}

// room checks that this process and the server may open so many connections.
func (t *Target) room(connections int) error {
	if t.InMemory {
		return nil
	}
	return crowd.Room(connections, t.PID)
}
