package gpu_test

import (
	"context"
	"fmt"
	"log"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/gpu"
)

func ExampleOpen() {
	m, err := carbon.Start(carbon.WithGPUs(gpu.Open))
	if err != nil {
		log.Print(err)
	}
	log.Print(m.Describe()) // which GPUs are counted, or why none is
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}
