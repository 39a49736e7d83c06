package listen

import (
	"crypto/tls"

	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/internal/conf"
)

// Config is a checked configuration: everything that Server.Apply needs and
// nothing that holds a socket.
type Config struct {
	// Hosts are the virtual hosts, in file order and canonical form.
	Hosts []string
	// Entries are the listeners, in file order.
	Entries []Entry
	// Warnings are the problems that do not keep the configuration from
	// running.
	Warnings []*Error

	content  *conf.Content // of the tables that decoded options refer to
	sections []sectionValue
	settings []conf.Setting // besides the entries
}

// Certificate describes a certificate of certfiles.
type Certificate = certs.Leaf

// Certificates returns those of certfiles, in the order of the files.
func (c *Config) Certificates() []Certificate { return c.content.Certificates() }

// sectionValue is what a Section gets of a configuration.
type sectionValue struct {
	section Section
	value   ModuleConfig[any]
}

// use hands every section its new values. It does not block.
func (c *Config) use() {
	for _, s := range c.sections {
		s.section.use(s.value)
	}
}

// swap puts the new access rules, shapers and certificates into effect, in
// running sessions too. It does not block.
func (c *Config) swap() { c.content.Swap() }

// Entry is one element of listen:.
type Entry struct {
	Module  string
	Network string // "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix": what net.Listen wants
	Address string // host:port or the path of a unix socket
	Socket  SocketOptions
	// Options are those of the module: a value of the type that its Kind was
	// registered with.
	Options any
	// TLS is set with tls: true: the listener's connections speak TLS from the
	// first byte.
	TLS *tls.Config
	// File, Line and Column are where the entry begins.
	File         string
	Line, Column int

	kind     Kind
	spec     string // canonical form of all that the entry was decoded from; equal specs need no restart
	settings []conf.Setting
}

// SocketOptions are the options of a listen: entry that concern its socket and
// not its module.
type SocketOptions = conf.Socket
