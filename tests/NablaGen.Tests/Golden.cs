using System.Text.Json;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests;

/// <summary>One of the reference's output files: tensors, weights under <c>weights.</c>, configuration in the metadata.</summary>
internal sealed class Golden : IDisposable
{
    private readonly SafetensorsFile _file;

    private Golden(SafetensorsFile file) => _file = file;

    public IEnumerable<string> Names => _file.Entries.Keys;

    public static Golden Open(string name) => new(SafetensorsFile.Open(Path.Combine(GoldenFolder.Path, name + ".safetensors")));

    public Tensor this[string name] => _file.Read(name);

    public ITensorSource Source => _file;

    public string Metadata(string key) => _file.Metadata[key];

    public string[] List(string key) => JsonSerializer.Deserialize<string[]>(Metadata(key))!;

    public WanModel Dit(ModuleOptions? options = null)
    {
        var model = new WanModel(ModelConfigs.ParseDit(Metadata("config"), _file.Path), options ?? ModuleOptions.Cpu);
        CheckpointLoader.Load(_file.Under("weights."), model);
        return model;
    }

    public T5Encoder TextEncoder()
    {
        var model = new T5Encoder(ModelConfigs.ParseTextEncoder(Metadata("config"), _file.Path), ModuleOptions.Cpu);
        CheckpointLoader.Load(_file.Under("weights."), model);
        return model;
    }

    public WanVae Vae()
    {
        var model = new WanVae(ModelConfigs.ParseVae(Metadata("config"), _file.Path), ModuleOptions.Cpu);
        CheckpointLoader.Load(_file.Under("weights."), model);
        return model;
    }

    public void Dispose() => _file.Dispose();

    /// <summary>‖a − b‖ / ‖b‖, in float64.</summary>
    public static double RelativeError(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        Assert.Equal(expected.shape, actual.shape);
        var (a, b) = (actual.to_type(ScalarType.Float64), expected.to_type(ScalarType.Float64));
        return ((a - b).norm() / b.norm()).item<double>();
    }

    public static void AssertClose(Tensor actual, Tensor expected, double tolerance) =>
        Assert.InRange(RelativeError(actual, expected), 0, tolerance);
}
