namespace NablaGen.Tests.Cli;

/// <summary>One assembled model folder for all tests of a class.</summary>
public sealed class GoldenModelFixture : IDisposable
{
    private readonly TempFolder _folder = new();

    public GoldenModelFixture() => GoldenModelFolder.Assemble(Path);

    public string Path => _folder["a model"];

    public void Dispose() => _folder.Dispose();
}
