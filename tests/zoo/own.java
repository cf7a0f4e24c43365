// Prints its environment and starts the witness as the property jdk.lang.Process.launchMechanism says, from two threads.
import java.net.InetAddress;
import java.util.TreeMap;

class Own {
    static String see(String... words) throws Exception {
        Process process = new ProcessBuilder(words).redirectErrorStream(true).start();
        process.getOutputStream().close();
        return new String(process.getInputStream().readAllBytes()) + process.waitFor();
    }

    public static void main(String[] words) throws Exception {
        new TreeMap<>(System.getenv()).forEach((name, value) -> System.out.println(name + "=" + value));
        System.out.println(see("sh", words[0], "a b", ""));
        System.out.println(InetAddress.getByName("localhost").isLoopbackAddress());
        Thread[] threads = new Thread[2];
        String[] said = new String[2];
        for (int n = 0; n < 2; n++) {
            int own = n;
            threads[n] = new Thread(() -> {
                try {
                    said[own] = see("echo", "thread " + own);
                } catch (Exception error) {
                    said[own] = error.toString();
                }
            });
            threads[n].start();
        }
        for (int n = 0; n < 2; n++) {
            threads[n].join();
            System.out.println(said[n]);
        }
        try {
            see(words[0] + "/none");
        } catch (java.io.IOException error) {
            System.out.println(error.getMessage().contains("No such file") || error.getMessage().contains("Not a directory"));
        }
        System.exit(5);
    }
}
