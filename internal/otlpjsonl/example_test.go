package otlpjsonl_test

import (
	"errors"
	"fmt"
	"io"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

func Example() {
	merger, err := otlpjsonl.Open([]string{"testdata/traces.json", "testdata/logs.json"}, otlpjsonl.DefaultOptions())
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		batch, err := merger.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			break
		}
		// One of batch.Traces, batch.Metrics and batch.Logs, to be consumed at once.
		fmt.Println(batch.Signal, batch.Items, batch.Time.AsTime().Unix())
	}
	fmt.Println(merger.Stats().Lost(), "lost;", merger.Close())
	// Output:
	// logs 3 20
	// traces 3 30
	// 0 lost; <nil>
}
