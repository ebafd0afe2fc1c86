// Command pulumi-language-nodejs runs Pulumi programs written for Node.js.
// It serves the LanguageRuntime service to the Pulumi engine, which starts it and passes its own address.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

func main() {
	tracing := flag.String("tracing", "", "address of a tracing endpoint, handed to the program")
	showVersion := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *showVersion {
		fmt.Println(version.Version)
		return
	}
	if err := serve(flag.Arg(0), *tracing); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-language-nodejs: %v\n", err)
		os.Exit(1)
	}
}

// serve answers the engine until it asks us to stop or is gone.
func serve(engineAddress, tracing string) error {
	children := newChildren()
	// Ends every program with us, whatever the reason: nobody is left to record what it would register.
	defer children.stopAll()

	stop := make(chan bool)
	stopServing := sync.OnceFunc(func() {
		children.stopAll()
		close(stop)
	})
	whenSignalled(stopServing)
	whenParentGone(stopServing)

	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: stop,
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(server, newHost(engineAddress, tracing, children))
			return nil
		},
		Options: rpcutil.TracingServerInterceptorOptions(nil),
	})
	if err != nil {
		return fmt.Errorf("could not start the server: %w", err)
	}
	// The engine reads our port from the first line.
	fmt.Printf("%d\n", handle.Port)
	return <-handle.Done
}

func whenSignalled(do func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		do()
	}()
}
