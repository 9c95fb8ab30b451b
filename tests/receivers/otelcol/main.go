// An OpenTelemetry Collector that takes OTLP and writes what it took to a file: the real receiver of tests/receivers/test_otelcol.py.
package main

import (
	"log"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

func factories() (otelcol.Factories, error) {
	file, health := fileexporter.NewFactory(), healthcheckextension.NewFactory()
	limiter, otlp := memorylimiterprocessor.NewFactory(), otlpreceiver.NewFactory()
	return otelcol.Factories{
		Telemetry:  otelconftelemetry.NewFactory(),
		Exporters:  map[component.Type]exporter.Factory{file.Type(): file},
		Extensions: map[component.Type]extension.Factory{health.Type(): health},
		Processors: map[component.Type]processor.Factory{limiter.Type(): limiter},
		Receivers:  map[component.Type]receiver.Factory{otlp.Type(): otlp},
	}, nil
}

func main() {
	command := otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "otelcol", Description: "a receiver for tests", Version: "0.160.0"},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
			DefaultScheme:     "file",
		}},
	})
	if err := command.Execute(); err != nil {
		log.Fatal(err)
	}
}
