using NablaGen.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

/// <summary>Peak memory is the process's own, so nothing may run beside these tests.</summary>
[CollectionDefinition(nameof(LoadMemoryTests), DisableParallelization = true)]
public sealed class LoadMemoryCollection;

[Trait(Lane.Name, Lane.Alone)]
[Collection(nameof(LoadMemoryTests))]
public sealed class LoadMemoryTests : IDisposable
{
    private const int Count = 10;
    private const long Elements = 10_000_000;
    private const long Slack = 32_000_000;

    private readonly RawFile _raw = new();

    [Theory]
    [InlineData(StoredType.BF16, ScalarType.BFloat16)]
    [InlineData(StoredType.F32, ScalarType.BFloat16)]
    [InlineData(StoredType.BF16, ScalarType.Float32)]
    [InlineData(StoredType.F8_E4M3, ScalarType.BFloat16)]
    public void Loading_takes_the_model_and_one_tensor_more(StoredType stored, ScalarType type)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Peak memory is read from /proc.");
        var path = Write(stored);
        using var source = SafetensorsFile.Open(path);
        using var loadLibTorch = ones(1);
        ResidentMemory.ResetPeak();
        var before = ResidentMemory.Now;

        using var model = new Model(type);
        CheckpointLoader.Load(source, model);

        var modelBytes = Count * Elements * model.Width;
        Assert.InRange(ResidentMemory.Peak - before, modelBytes / 2, modelBytes + (Elements * stored.Size()) + Slack);
    }

    [Fact]
    public void Opening_reads_the_header_alone()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Peak memory is read from /proc.");
        var path = Write(StoredType.F32);
        ResidentMemory.ResetPeak();
        var before = ResidentMemory.Now;
        using var source = SafetensorsFile.Open(path);
        Assert.InRange(ResidentMemory.Peak - before, 0, Slack / 2);
    }

    public void Dispose() => _raw.Dispose();

    private string Write(StoredType stored)
    {
        var bytes = Elements * stored.Size();
        var header = string.Join(",", Enumerable.Range(0, Count).Select(i =>
            $$"""
            "p{{i}}":{"dtype":"{{stored}}","shape":[{{Elements}}],"data_offsets":[{{i * bytes}},{{(i + 1) * bytes}}]}
            """));
        var path = _raw.Write("big.safetensors", RawFile.Bytes($"{{{header}}}", 0));
        // Zeros without a write: a hole is read and mapped like any data.
        using var file = new FileStream(path, FileMode.Open, FileAccess.Write);
        file.SetLength(file.Length + (Count * bytes));
        return path;
    }

    private sealed class Model : nn.Module
    {
        public Model(ScalarType type)
            : base(nameof(Model))
        {
            Width = type == ScalarType.Float32 ? 4 : 2;
            for (var i = 0; i < Count; i++)
            {
                register_parameter($"p{i}", new Parameter(empty(Elements, dtype: type)));
            }
        }

        public int Width { get; }
    }
}
