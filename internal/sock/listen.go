package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Options of a socket.
type Options struct {
	// Backlog is how many connections may wait to be accepted. 0: what the
	// system allows at most.
	Backlog int
	// Mode, Owner and Group are those of a unix socket. Owner and Group are
	// left alone when they are -1.
	Mode         os.FileMode
	Owner, Group int
	// Readers is how many sockets share the address of a datagram listener.
	// Less than 2: one.
	Readers int
}

// keepAlive takes the times of the system. Go's own are so short that they
// would wake a phone four times a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1}

// Listener is a stream socket.
type Listener struct {
	net.Listener
	// Backlog is how many connections can wait in fact; 0 if this is not known.
	Backlog int
	// Warnings say what could not be done as asked.
	Warnings []string
}

// Listen opens a stream socket. The network is one that net.Listen knows; with
// "tcp6" the wildcard address takes no IPv4 connections. TCP connections have
// no delay (Nagle's algorithm is off) and send keep-alives at the times that
// the system is configured for.
//
// A unix socket appears under its name when it can be connected to, with its
// mode and owner. One that a process listens to is left alone and an error;
// one that was left behind is replaced. A directory that is missing is made,
// with mode 0700. Close removes the name if it is still that of this socket.
func Listen(ctx context.Context, network, address string, o Options) (*Listener, error) {
	l := &Listener{}
	var err error
	if network == "unix" {
		l.Listener, err = listenUnix(address, o)
	} else {
		lc := net.ListenConfig{KeepAliveConfig: keepAlive}
		l.Listener, err = lc.Listen(ctx, network, address)
	}
	if err != nil {
		return nil, err
	}
	l.setBacklog(o.Backlog)
	return l, nil
}

// Explain adds to an error of Listen or ListenPacket what can be done about it.
func Explain(network string, err error) error {
	switch unix := network == "unix"; {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; another program or listener has this address", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; no interface has this address", err)
	case unix && errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; choose a directory that this user may write to", err)
	case unix && errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w; owner and group of unix_socket need a privilege unless they are this user's own", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; ports below 1024 need a privilege such as CAP_NET_BIND_SERVICE", err)
	}
	return err
}

// Take makes a Listener of a socket that is open already.
func Take(ln net.Listener, o Options) *Listener {
	l := &Listener{Listener: ln}
	l.setBacklog(o.Backlog)
	return l
}

// Adjust changes what can be changed of an open socket: the backlog, and mode
// and owner of a unix socket that Listen has made.
func (l *Listener) Adjust(o Options) error {
	l.Warnings = nil
	l.setBacklog(o.Backlog)
	if u, ok := l.Listener.(*unixListener); ok {
		return setOwner(u.path, o)
	}
	return nil
}

func (l *Listener) setBacklog(n int) {
	effective, err := backlog(l.Listener, n)
	if err != nil && n > 0 {
		l.Warnings = append(l.Warnings, fmt.Sprintf("backlog %d: %v", n, err))
	}
	l.Backlog = effective
}

// ListenPacket opens datagram sockets, several for one address if o.Readers
// says so and the system shares datagrams out among them.
func ListenPacket(ctx context.Context, network, address string, o Options) (pcs []net.PacketConn, warnings []string, err error) {
	// A socket that does not share its address finds out whether it is taken:
	// others would join in with a second server.
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, nil, err
	}
	if o.Readers < 2 {
		return []net.PacketConn{pc}, nil, nil
	}
	if !canShare {
		return []net.PacketConn{pc}, []string{fmt.Sprintf("%d readers: this system does not share datagrams out; there is one", o.Readers)}, nil
	}
	address = pc.LocalAddr().String() // with the port that was found, if it was 0
	_ = pc.Close()
	lc.Control = sharePort
	for range o.Readers {
		pc, err := lc.ListenPacket(ctx, network, address)
		if err != nil {
			for _, pc := range pcs {
				_ = pc.Close()
			}
			return nil, nil, err
		}
		pcs = append(pcs, pc)
	}
	return pcs, nil, nil
}
