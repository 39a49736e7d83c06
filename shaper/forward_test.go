package shaper

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"
)

// The optional methods of connections, each as a part to build fakes of.
type (
	fakeState struct{}
	fakeClose struct{}
	fakeSys   struct{ raw *fakeRaw }
	fakeRaw   struct{ controls, reads, writes int }
)

var errHalfClosed = errors.New("half closed")

func (fakeState) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{ServerName: "one.test"}
}
func (fakeClose) CloseWrite() error { return errHalfClosed }

func (f fakeSys) SyscallConn() (syscall.RawConn, error) {
	if f.raw == nil {
		return nil, net.ErrClosed
	}
	return f.raw, nil
}
func (f *fakeRaw) Control(func(uintptr)) error    { f.controls++; return nil }
func (f *fakeRaw) Read(func(uintptr) bool) error  { f.reads++; return nil }
func (f *fakeRaw) Write(func(uintptr) bool) error { f.writes++; return nil }

// TestForward wraps a connection with each combination of the optional methods
// and wants type assertions on the result to tell which there are.
func TestForward(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	raw := new(fakeRaw)
	state, half, sys := fakeState{}, fakeClose{}, fakeSys{raw}
	tests := []struct {
		name             string
		conn             net.Conn
		state, half, sys bool
	}{
		{"none", a, false, false, false},
		{"state", struct {
			net.Conn
			fakeState
		}{a, state}, true, false, false},
		{"close", struct {
			net.Conn
			fakeClose
		}{a, half}, false, true, false},
		{"syscall", struct {
			net.Conn
			fakeSys
		}{a, sys}, false, false, true},
		{"state, close", struct {
			net.Conn
			fakeState
			fakeClose
		}{a, state, half}, true, true, false},
		{"state, syscall", struct {
			net.Conn
			fakeState
			fakeSys
		}{a, state, sys}, true, false, true},
		{"close, syscall", struct {
			net.Conn
			fakeClose
			fakeSys
		}{a, half, sys}, false, true, true},
		{"all", struct {
			net.Conn
			fakeState
			fakeClose
			fakeSys
		}{a, state, half, sys}, true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConn(tt.conn, Rate{}).Expose()
			s, ok := c.(interface{ ConnectionState() tls.ConnectionState })
			if ok != tt.state {
				t.Errorf("ConnectionState: got %v, want %v", ok, tt.state)
			} else if ok && s.ConnectionState().ServerName != "one.test" {
				t.Error("ConnectionState: got another state than that of the connection")
			}
			w, ok := c.(interface{ CloseWrite() error })
			if ok != tt.half {
				t.Errorf("CloseWrite: got %v, want %v", ok, tt.half)
			} else if ok && w.CloseWrite() != errHalfClosed {
				t.Error("CloseWrite: got another error than that of the connection")
			}
			_, err := c.(syscall.Conn).SyscallConn()
			if tt.sys && err != nil || !tt.sys && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("SyscallConn: got error %v, want it to work: %v", err, tt.sys)
			}
			if got := c.(interface{ NetConn() net.Conn }).NetConn(); got != tt.conn {
				t.Errorf("NetConn: got %v, want %v", got, tt.conn)
			}
			if _, ok := c.(interface{ SetRate(Rate) }); !ok {
				t.Error("SetRate: got none, want it")
			}
		})
	}
}

// TestRawConn wants raw reads only where there is nothing to go past.
func TestRawConn(t *testing.T) {
	fake := new(fakeRaw)
	c := NewConn(struct {
		net.Conn
		fakeSys
	}{nil, fakeSys{fake}}, Rate{})
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	read := func() error { return raw.Read(func(uintptr) bool { return true }) }
	if err := read(); err != nil || fake.reads != 1 {
		t.Errorf("unlimited: got %d reads, %v, want 1", fake.reads, err)
	}
	c.SetRate(Rate{BytesPerSecond: 1})
	if err := read(); !errors.Is(err, errors.ErrUnsupported) || fake.reads != 1 {
		t.Errorf("limited: got %d reads, %v, want 1, %v", fake.reads, err, errors.ErrUnsupported)
	}
	if err := raw.Control(func(uintptr) {}); err != nil || fake.controls != 1 {
		t.Errorf("Control: got %d, %v, want 1", fake.controls, err)
	}
	if err := raw.Write(func(uintptr) bool { return true }); err != nil || fake.writes != 1 {
		t.Errorf("Write: got %d, %v, want 1", fake.writes, err)
	}
	c.SetRate(Rate{})
	if err := read(); err != nil || fake.reads != 2 {
		t.Errorf("unlimited again: got %d reads, %v, want 2", fake.reads, err)
	}
}

func TestSyscallConnError(t *testing.T) {
	c := NewConn(struct {
		net.Conn
		fakeSys
	}{}, Rate{})
	if raw, err := c.SyscallConn(); raw != nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, %v, want the connection's own error", raw, err)
	}
}

// TestCopyCounts copies between sockets, where the standard library looks for
// ways through the kernel, and wants the bytes to count.
func TestCopyCounts(t *testing.T) {
	in, inPeer := tcpPair(t)
	out, outPeer := tcpPair(t)
	const n = 10000
	c := NewConn(in, Rate{1, n})
	if _, err := inPeer.Write(make([]byte, n+1)); err != nil {
		t.Fatal(err)
	}
	if copied, err := io.CopyN(out, c.Expose(), n+1); copied != n+1 || err != nil {
		t.Fatalf("got %d, %v, want %d", copied, err, n+1)
	}
	if _, err := io.ReadFull(outPeer, make([]byte, n+1)); err != nil {
		t.Fatal(err)
	}
	if c.bucket.Take(0) <= 0 {
		t.Error("got no debt, want one: the bytes did not count")
	}
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

// TestConformance runs the tests that every net.Conn shall pass.
func TestConformance(t *testing.T) {
	for _, r := range []Rate{{}, {1 << 40, 1 << 31}} {
		t.Run(r.String(), func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				a, b := net.Pipe()
				c1, c2 = NewConn(a, r).Expose(), NewConn(b, r).Expose()
				return c1, c2, func() {
					c1.Close()
					c2.Close()
				}, nil
			})
		})
	}
}
