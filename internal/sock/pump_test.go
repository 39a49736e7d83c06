package sock

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// rig is a pump on a socket in memory.
type rig struct {
	ln      *listentest.Listener
	meter   Meter
	conns   chan net.Conn
	retired chan struct{}
	pump    *Pump
	log     bytes.Buffer
	lost    bool
}

func newRig(t Tuning) *rig {
	r := &rig{ln: listentest.NewListener(), conns: make(chan net.Conn), retired: make(chan struct{})}
	r.pump = StartPump(r.ln, &r.meter, r.conns, t, slog.New(slog.NewTextHandler(&r.log, nil)), func(lost bool) { r.lost = lost })
	return r
}

func (r *rig) lease() *Lease { return NewLease(r.conns, r.retired, r.ln.Addr()) }

var proxied = Tuning{Proxied: true, Proxies: Proxies{netip.PrefixFrom(proxyAddr.Addr(), 32)}}

func TestPumpProxy(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.7 192.0.2.1 49152 5222\r\n"
	stranger := netip.MustParseAddrPort("203.0.113.66:1")
	tests := []struct {
		name   string
		tuning Tuning
		from   netip.AddrPort
		send   string
		remote string // "": refused
		read   string
	}{
		{"proxy", proxied, proxyAddr, header + "hello", "203.0.113.7:49152", "hello"},
		{"proxy without a header", proxied, proxyAddr, "<stream:stream to='example.org'>", "", ""},
		{"stranger", proxied, stranger, "hello", stranger.String(), "hello"},
		{"stranger that lies", proxied, stranger, header, stranger.String(), header},
		{"no proxies known", Tuning{Proxied: true}, proxyAddr, header, proxyAddr.String(), header},
		{"not asked for", Tuning{Proxies: proxied.Proxies}, proxyAddr, header, proxyAddr.String(), header},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(tt.tuning)
				client := r.ln.DialFrom(tt.from)
				_, _ = io.WriteString(client, tt.send)
				if tt.remote == "" {
					if _, err := client.Read(make([]byte, 1)); err != io.EOF {
						t.Errorf("client: got %v, want io.EOF", err)
					}
					synctest.Wait()
					if got := r.meter.Counts(); got.Rejected["proxy_header"] != 1 || got.Active != 0 {
						t.Errorf("got %+v, want one rejected for its header", got)
					}
					if !strings.Contains(r.log.String(), "peer="+tt.from.String()) {
						t.Errorf("log: got %s, want the peer", r.log.String())
					}
					r.pump.Stop()
					return
				}
				c, err := r.lease().Accept()
				if err != nil {
					t.Fatal(err)
				}
				if got := c.RemoteAddr().String(); got != tt.remote {
					t.Errorf("remote address: got %s, want %s", got, tt.remote)
				}
				_ = client.Close()
				if got, _ := io.ReadAll(c); string(got) != tt.read {
					t.Errorf("got %q, want %q", got, tt.read)
				}
				if got := r.meter.Counts().BytesIn; got != int64(len(tt.read)) {
					t.Errorf("bytes counted: got %d, want %d, those after the header", got, len(tt.read))
				}
				_ = c.Close()
				r.pump.Stop()
			})
		})
	}
}

// A proxy that takes its time keeps nobody else waiting, and its time ends.
func TestPumpSlowHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(proxied)
		var slow []net.Conn
		for range 100 {
			slow = append(slow, r.ln.DialFrom(proxyAddr))
		}
		began := time.Now()
		quick := r.ln.Dial()
		c, err := r.lease().Accept()
		if err != nil || c.RemoteAddr().String() != quick.LocalAddr().String() {
			t.Fatalf("got %v, %v, want the connection that sends no header", c, err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it waited for %v", d)
		}
		for _, s := range slow {
			if _, err := s.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v, want io.EOF", err)
			}
		}
		if d := time.Since(began); d != ProxyWait {
			t.Errorf("slow ones were refused after %v, want %v", d, ProxyWait)
		}
		synctest.Wait()
		if got := r.meter.Counts(); got.Rejected["proxy_timeout"] != 100 || got.Active != 1 {
			t.Errorf("got %+v, want 100 rejected for their time", got)
		}
		_ = c.Close()
		r.pump.Stop()
	})
}

// The number of headers that are awaited is bounded.
func TestPumpBoundsHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(proxied)
		for range 2 * maxHeaders {
			r.ln.DialFrom(proxyAddr)
		}
		synctest.Wait()
		if got := r.meter.Counts().Active; got != maxHeaders+1 {
			t.Errorf("connections at a time: got %d, want %d", got, maxHeaders+1)
		}
		time.Sleep(ProxyWait)
		synctest.Wait()
		if got := r.meter.Counts().Accepted; got != 2*maxHeaders {
			t.Errorf("accepted in the end: got %d, want %d", got, 2*maxHeaders)
		}
		r.pump.Stop()
		if got := r.meter.Counts(); got.Active != 0 {
			t.Errorf("got %d open connections after Stop, want 0", got.Active)
		}
	})
}

func TestPumpStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(proxied)
		waiting, header := r.ln.Dial(), r.ln.DialFrom(proxyAddr)
		synctest.Wait()
		r.pump.Stop()
		r.pump.Stop()
		for _, c := range []net.Conn{waiting, header} {
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v, want io.EOF", err)
			}
		}
		if got := r.meter.Counts(); got.Active != 0 || got.Rejected["unserved"] == 0 {
			t.Errorf("got %+v, want all connections counted as unserved", got)
		}
		if r.lost {
			t.Error("ended: got lost, want not")
		}
	})
}

func TestPumpLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Tuning{})
		_ = r.ln.Close()
		synctest.Wait()
		if !r.lost {
			t.Error("ended: got not lost, want lost")
		}
		r.pump.Stop()
	})
}

func TestPumpInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Tuning{Interval: time.Second})
		began := time.Now()
		lease := r.lease()
		for i := range 4 {
			r.ln.Dial()
			c, err := lease.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := time.Since(began), time.Duration(i)*time.Second; got != want {
				t.Errorf("connection %d: got it after %v, want %v", i, got, want)
			}
			_ = c.Close()
			if i == 2 {
				r.pump.Tune(Tuning{})
			}
		}
		r.pump.Stop()
	})
}

// Leases follow one another on a socket, and no connection is lost between
// them.
func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Tuning{})
		first := r.lease()
		ended := make(chan error, 1)
		go func() {
			_, err := first.Accept()
			ended <- err
		}()
		synctest.Wait()
		close(r.retired)
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("retired: got %v, want net.ErrClosed", err)
		}
		client := r.ln.Dial() // between the two
		synctest.Wait()
		r.retired = make(chan struct{})
		second := r.lease()
		c, err := second.Accept()
		if err != nil || c.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("second lease: got %v, %v, want the connection that waited", c, err)
		}
		_, _ = second.Close(), second.Close()
		r.ln.Dial()
		synctest.Wait()
		if _, err := second.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: got %v, want net.ErrClosed", err)
		}
		if got := second.Addr().String(); got != r.ln.Addr().String() {
			t.Errorf("address: got %s, want that of the socket", got)
		}
		_ = c.Close()
		r.pump.Stop()
	})
}

// Datagrams: a lease that ends wakes its reader, and the next one reads on.
func TestPacketLeases(t *testing.T) {
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	memory := listentest.NewPacketConn()
	client, err := net.Dial("udp4", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		socket net.PacketConn
		client net.Conn
	}{"udp": {udp, client}, "memory": {memory, memory.Dial()}} {
		t.Run(name, func(t *testing.T) {
			defer tt.client.Close()
			defer tt.socket.Close()
			for range 3 {
				lease := NewPacketLease(tt.socket)
				_, _ = tt.client.Write([]byte("ping"))
				buf := make([]byte, 10)
				n, peer, err := lease.ReadFrom(buf)
				if err != nil || string(buf[:n]) != "ping" {
					t.Fatalf("got %q, %v, want the datagram", buf[:n], err)
				}
				if _, err := lease.WriteTo([]byte("pong"), peer); err != nil {
					t.Fatal(err)
				}
				if n, err := tt.client.Read(buf); err != nil || string(buf[:n]) != "pong" {
					t.Fatalf("answer: got %q, %v", buf[:n], err)
				}
				_ = lease.SetReadDeadline(time.Now())
				if _, _, err := lease.ReadFrom(buf); errors.Is(err, net.ErrClosed) || err == nil {
					t.Errorf("got %v, want a timeout", err)
				}
				_ = lease.SetDeadline(time.Time{})

				ended := make(chan error)
				go func() {
					_, _, err := lease.ReadFrom(make([]byte, 10))
					ended <- err
				}()
				if err := lease.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if err := <-ended; !errors.Is(err, net.ErrClosed) {
					t.Errorf("reader: got %v, want net.ErrClosed", err)
				}
				// A module that is late does not take the next one's reads over.
				for _, err := range []error{lease.SetReadDeadline(time.Time{}), lease.SetDeadline(time.Time{}), lease.Close()} {
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("after Close: got %v, want net.ErrClosed", err)
					}
				}
			}
		})
	}
}

// All reading methods of a UDP lease know that it has ended.
func TestUDPLeaseMethods(t *testing.T) {
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	l := NewPacketLease(udp).(*udpLease)
	_ = l.Close()
	b := make([]byte, 1)
	reads := map[string]func() error{
		"Read":                func() error { _, err := l.Read(b); return err },
		"ReadFrom":            func() error { _, _, err := l.ReadFrom(b); return err },
		"ReadFromUDP":         func() error { _, _, err := l.ReadFromUDP(b); return err },
		"ReadFromUDPAddrPort": func() error { _, _, err := l.ReadFromUDPAddrPort(b); return err },
		"ReadMsgUDP":          func() error { _, _, _, _, err := l.ReadMsgUDP(b, nil); return err },
		"ReadMsgUDPAddrPort":  func() error { _, _, _, _, err := l.ReadMsgUDPAddrPort(b, nil); return err },
	}
	for name, read := range reads {
		if err := read(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got %v, want net.ErrClosed", name, err)
		}
	}
	if _, err := l.SyscallConn(); err != nil {
		t.Errorf("SyscallConn: %v", err) // batches need it
	}
}

// BenchmarkAccept compares connections from a socket with those from a lease.
func BenchmarkAccept(b *testing.B) {
	accept := func(b *testing.B, ln *listentest.Listener, from net.Listener) {
		b.ReportAllocs()
		for b.Loop() {
			client := ln.Dial()
			c, err := from.Accept()
			if err != nil {
				b.Fatal(err)
			}
			_, _ = c.Close(), client.Close()
		}
	}
	b.Run("socket", func(b *testing.B) {
		ln := listentest.NewListener()
		accept(b, ln, ln)
		_ = ln.Close()
	})
	b.Run("lease", func(b *testing.B) {
		r := newRig(Tuning{})
		accept(b, r.ln, r.lease())
		r.pump.Stop()
	})
}
