// Package listen runs listener modules from a configuration in ejabberd's
// format.
//
// A [Registry] has the modules that a program was built with. [Load], [Parse]
// and [FromTree] check a configuration, without opening a socket, and decode it
// for them; all mistakes are reported at once, with their positions. A [Server]
// opens the sockets and runs the modules; given another configuration it
// changes what differs and lets the sessions of the rest go on.
//
//	reg := listen.NewRegistry(
//		listen.StreamKind("ejabberd_c2s", c2s.New(host), c2s.Defaults),
//	)
//	config, err := listen.Load("ejabberd.yml", reg)
//	…
//	server := listen.New(reg, listen.ServerOptions{Log: log})
//	steps, err := server.Apply(ctx, config)
package listen
