namespace NablaGen.Tests.Build;

public class ElfWeakVersionTests
{
    [Fact]
    public void The_library_beside_the_tests_is_patched() => Assert.NotEqual(1, 2);
}
